/**
 * Who may connect from where: a password over SCRAM for everybody, superuser and replication included, with TLS
 * or without. Nothing trusts, so that a test that passes here has shown a password.
 */

export interface HostBasedAccess {
  /** Networks that may connect, such as `127.0.0.1/32`. */
  readonly networks: readonly string[];
  readonly replicationUser: string;
}

/**
 * The text of a `pg_hba.conf`.
 * @see https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
 */
export function formatHostBasedAccess(access: HostBasedAccess): string {
  const lines = access.networks.flatMap((network) =>
    ["hostssl", "host"].flatMap((type) => [
      `${type} all all ${network} scram-sha-256\n`,
      `${type} replication ${access.replicationUser} ${network} scram-sha-256\n`,
    ]),
  );
  return lines.join("");
}
