/** The roles and the database of a test cluster, as SQL statements of one line each. */

export interface Login {
  readonly user: string;
  readonly password: string;
}

export interface Roles {
  /** A plain role that owns the database, as applications have it; no member of `pg_monitor`. */
  readonly application: Login;
  readonly replication: Login;
  readonly database: string;
}

/** Statements for a fresh cluster, each to be run on its own: a database cannot be created in a transaction. */
export function createRoles(roles: Roles, majorVersion: number): readonly string[] {
  const { application, replication, database } = roles;
  // Logging every page of the template would send 7 MB through each replica; before 15 copying was all there was.
  const strategy = majorVersion >= 15 ? " STRATEGY file_copy" : "";
  return [
    `CREATE ROLE ${identifier(application.user)} LOGIN PASSWORD ${literal(application.password)}`,
    `CREATE ROLE ${identifier(replication.user)} LOGIN REPLICATION PASSWORD ${literal(replication.password)}`,
    `CREATE DATABASE ${identifier(database)} OWNER ${identifier(application.user)}${strategy}`,
  ];
}

/** Creates the extension where the installation has it. */
export function createExtension(name: string): string {
  return (
    `DO $$ BEGIN IF EXISTS (SELECT FROM pg_available_extensions WHERE name = ${literal(name)}) ` +
    `THEN CREATE EXTENSION IF NOT EXISTS ${identifier(name)}; END IF; END $$`
  );
}

/** A physical slot for one replica. It keeps WAL from that replica's first connection on, or from now. */
export function createSlot(slot: string, reserve?: "reserve"): string {
  return `SELECT pg_create_physical_replication_slot(${literal(slot)}, ${reserve === "reserve"})`;
}

export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  if (text.includes("\\")) throw new TypeError("a literal here may not contain a backslash");
  return `'${text.replaceAll("'", "''")}'`;
}
