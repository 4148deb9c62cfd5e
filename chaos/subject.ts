/**
 * What an experiment needs of a router under test. fairlead's own is one subject among others; so is any module
 * that exports a {@link Subject}.
 */
import type { RouterConfig } from "../src/config/config.ts";
import type { RouterEvent } from "./history/operation.ts";
import type { Rig } from "./world.ts";

/** A promise that a subject makes. What it does not claim is reported as `not-claimed`, never as held. */
export type Claim =
  /** In the long run each replica gets its share of the reads by weight; a random choice may do. */
  | "weights"
  /** At every moment of an epoch, within one read, and it tells its picks. */
  | "exact-weights"
  | "lag-limit"
  | "fallback"
  | "log-once"
  | "no-leak"
  /** A session's read shows its own earlier writes. */
  | "read-your-writes"
  /** A session's read never shows less than an earlier one of it. */
  | "monotonic-reads"
  /** It tells of evictions and returns as they happen. */
  | "events";

export interface SubjectOptions {
  readonly rig: Rig;
  /** Thresholds, weights and pool sizes to run with. */
  readonly policy: RouterConfig;
  /** `application_name` of every connection, by which the harness tells them on the servers. */
  readonly applicationName: string;
  /** The seed of this run, for subjects that draw. */
  readonly seed: number;
  /** Takes what the router says of itself. */
  readonly tell: (event: RouterEvent) => void;
}

export type Row = Readonly<Record<string, unknown>>;

/** A connected router. Calls reject with the router's or the server's error. */
export interface SubjectClient {
  /**
   * One statement that only reads; the router chooses who answers. Under a `name` it is to be prepared once a connection;
   * a router that prepares nothing may leave that out.
   */
  read(text: string, values: readonly unknown[], name?: string): Promise<readonly Row[]>;
  /** One statement that writes. */
  write(text: string, values: readonly unknown[]): Promise<readonly Row[]>;
  /** Several reads in one read-only transaction, which must not change its node half-way. */
  readOnlyTransaction?(
    statements: readonly { readonly text: string; readonly values: readonly unknown[] }[],
  ): Promise<readonly (readonly Row[])[]>;
  close(): Promise<void>;
}

export interface Subject {
  readonly name: string;
  readonly claims: readonly Claim[];
  connect(options: SubjectOptions): Promise<SubjectClient>;
}
