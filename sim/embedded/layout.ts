/** What is written into a run folder: certificates, passwords, each node's configuration, the first data folder. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCertificateAuthority } from "../postgres/certificates.ts";
import { giveTo, type Owner } from "../postgres/data-directory.ts";
import { formatHostBasedAccess } from "../postgres/hba.ts";
import { type Address, formatPasswordFile, primaryConninfo, slotName } from "../postgres/replication.ts";
import { createExtension, createRoles, type Login, type Roles } from "../postgres/roles.ts";
import {
  formatSettings,
  replicaSettings,
  serverSettings,
  walSegmentMegabytes,
} from "../postgres/settings.ts";
import type { Binaries } from "./binaries.ts";
import type { Lease } from "./lease.ts";

export interface Secrets {
  readonly folder: string;
  readonly nodes: readonly string[];
  readonly owner: Owner | undefined;
  readonly replication: Login;
  /** Milliseconds since 1970, for the certificates' validity. */
  readonly wallTimeMs: number;
}

/** `ca.crt`, `tls/<node>.crt` and `.key`, and the replicas' password file. The authority's own key is not kept. */
export async function writeSecrets(secrets: Secrets): Promise<void> {
  const { folder, nodes, owner, replication } = secrets;
  const authority = createCertificateAuthority(secrets.wallTimeMs);
  await mkdir(join(folder, "tls"), { mode: 0o700 });
  await giveTo(owner, join(folder, "tls"));
  await write(join(folder, "ca.crt"), authority.certificate, owner, 0o644);
  await write(passwordFile(folder), formatPasswordFile(replication.user, replication.password), owner);
  for (const node of nodes) {
    const { certificate, privateKey } = authority.issue(node, ["localhost", "127.0.0.1"]);
    await write(join(folder, "tls", `${node}.crt`), certificate, owner);
    await write(join(folder, "tls", `${node}.key`), privateKey, owner);
  }
}

function passwordFile(folder: string): string {
  return join(folder, "replication.pgpass");
}

export interface Configuration {
  readonly folder: string;
  readonly node: string;
  readonly host: string;
  readonly port: number;
  /** Where a replica streams from; undefined for a primary. */
  readonly upstream: Address | undefined;
  readonly replicationUser: string;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
}

/** Writes a data folder's configuration anew: whatever a copy or `ALTER SYSTEM` brought in is gone. */
export async function writeConfiguration(configuration: Configuration): Promise<void> {
  const { folder, node, upstream, binaries, owner, replicationUser } = configuration;
  const data = join(folder, node);
  const settings = serverSettings({
    node,
    majorVersion: binaries.majorVersion,
    listenAddress: configuration.host,
    port: configuration.port,
    certificateFile: join(folder, "tls", `${node}.crt`),
    privateKeyFile: join(folder, "tls", `${node}.key`),
    preload: binaries.hasStatStatements ? ["pg_stat_statements"] : [],
  });
  const following =
    upstream === undefined
      ? {}
      : replicaSettings({ primaryConninfo: conninfo(configuration, upstream), slot: slotName(node) });
  const access = formatHostBasedAccess({ networks: [`${configuration.host}/32`], replicationUser });
  await write(join(data, "postgresql.conf"), formatSettings({ ...settings, ...following }), owner);
  await write(join(data, "postgresql.auto.conf"), "", owner);
  await write(join(data, "pg_hba.conf"), access, owner);
  if (upstream !== undefined) await write(join(data, "standby.signal"), "", owner);
}

function conninfo({ folder, node, replicationUser }: Configuration, upstream: Address): string {
  return primaryConninfo({
    upstream,
    node,
    user: replicationUser,
    passwordFile: passwordFile(folder),
    sslMode: "verify-full",
    sslRootCert: join(folder, "ca.crt"),
  });
}

export interface FirstPrimary {
  readonly lease: Lease;
  readonly binaries: Binaries;
  readonly owner: Owner | undefined;
  readonly dataDirectory: string;
  readonly configure: () => Promise<void>;
  readonly superuser: Login;
  readonly roles: Roles;
}

const initdbTimeoutMs = 60_000;
const singleUserTimeoutMs = 30_000;

/**
 * Makes a cluster with its roles and database, shut down and ready to be copied. In single-user mode that
 * takes a tenth of what a server and its replicas would need to start, be told and catch up.
 */
export async function createFirstPrimary(first: FirstPrimary): Promise<void> {
  const { lease, binaries, dataDirectory, superuser, roles } = first;
  const passwordFile = `${dataDirectory}.password`;
  await write(passwordFile, superuser.password, first.owner);
  await lease.run({
    file: binaries.initdb,
    args: [
      `--pgdata=${dataDirectory}`,
      `--username=${superuser.user}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--no-locale",
      "--no-sync",
      "--no-instructions",
      `--wal-segsize=${walSegmentMegabytes}`,
    ],
    timeoutMs: initdbTimeoutMs,
  });
  await rm(passwordFile);
  await first.configure();
  const extensions = binaries.hasStatStatements ? ["pg_stat_statements"] : [];
  await runSingleUser(first, [
    ...extensions.map(createExtension),
    ...createRoles(roles, binaries.majorVersion),
  ]);
  await trimWal(join(dataDirectory, "pg_wal"));
}

/**
 * Removes the segments that initdb left for later use, a fifth of the folder. Clean shutdowns have recycled all that
 * came before the last checkpoint, so that its record begins in the first segment; it may end in the second.
 */
async function trimWal(folder: string): Promise<void> {
  const segments = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort();
  await Promise.all(segments.slice(2).map((name) => rm(join(folder, name))));
}

/**
 * One statement a line; the first that fails ends the program, and the error is in its output. Run in the template,
 * so that the application's database, which is a copy of it, has the extensions.
 */
async function runSingleUser(first: FirstPrimary, statements: readonly string[]): Promise<void> {
  await first.lease.run({
    file: first.binaries.postgres,
    args: [
      "--single",
      "-D",
      first.dataDirectory,
      "-c",
      "exit_on_error=on",
      "-c",
      "log_checkpoints=off",
      "template1",
    ],
    input: statements.map((statement) => `${statement}\n`).join(""),
    timeoutMs: singleUserTimeoutMs,
  });
}

async function write(path: string, text: string, owner: Owner | undefined, mode = 0o600): Promise<void> {
  await writeFile(path, text, { mode });
  await giveTo(owner, path);
}
