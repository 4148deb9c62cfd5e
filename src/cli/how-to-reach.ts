/**
 * How to reach a world that stays up: its DSNs, which hold throw-away passwords, on the terminal and in an env file that
 * only its owner can read. The one place that prints a secret, because asking for it is what the command is for.
 */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Endpoint, Rig } from "../../chaos/world.ts";

interface ReachableWorld {
  readonly rig: Rig;
  readonly toxiproxyUrl: string;
  readonly cluster: {
    readonly directory: string;
    readonly credentials: { readonly superuser: { readonly user: string; readonly password: string } };
    endpoint(node: string): Endpoint;
  };
}

export async function howToReach(world: ReachableWorld): Promise<string[]> {
  const { rig, cluster } = world;
  const nodes = [rig.primary, ...rig.replicas];
  const dsns = nodes.map((endpoint) => ({ name: variableName(endpoint.node), dsn: dsnOf(rig, endpoint) }));
  const { superuser } = cluster.credentials;
  const admin = dsnOf({ ...rig, ...superuser }, cluster.endpoint(rig.primary.node));
  const variables = [
    ...dsns.map(({ name, dsn }) => `${name}_URL=${dsn}`),
    `DB_USERNAME=${rig.user}`,
    `DB_PASSWORD=${rig.password}`,
    `DB_NAME=${rig.database}`,
    `DB_CA=${rig.sslRootCert}`,
    ...nodes.flatMap(({ node, host, port }) => [
      `DB_${variableName(node)}_HOST=${host}`,
      `DB_${variableName(node)}_PORT=${port}`,
    ]),
    `SUPERUSER_URL=${admin}`,
    `TOXIPROXY_URL=${world.toxiproxyUrl}`,
  ];
  const envFile = join(cluster.directory, "fairlead.env");
  await writeFile(envFile, `${variables.join("\n")}\n`, { mode: 0o600 });
  await chmod(envFile, 0o600);
  return [
    ...dsns.map(({ name, dsn }) => `${name.toLowerCase().replaceAll("_", "-").padEnd(10)} ${dsn}`),
    `superuser  ${admin}`,
    `toxiproxy  ${world.toxiproxyUrl}`,
    `ca         ${rig.sslRootCert}`,
    `env file   ${envFile}`,
  ];
}

/** For libpq's programs and every driver that reads its URLs. */
function dsnOf(
  rig: Pick<Rig, "user" | "password" | "database" | "sslRootCert">,
  { host, port }: Endpoint,
): string {
  const user = `${encodeURIComponent(rig.user)}:${encodeURIComponent(rig.password)}`;
  const query = `sslmode=verify-full&sslrootcert=${encodeURIComponent(rig.sslRootCert)}`;
  return `postgres://${user}@${host}:${port}/${rig.database}?${query}`;
}

function variableName(node: string): string {
  return node.toUpperCase().replaceAll("-", "_");
}
