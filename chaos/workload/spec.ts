/** Who asks what, how often: plain data, so that it can cross threads and stand in a report. */
export interface WorkloadSpec {
  /** Sessions that may have one operation open each; arrivals beyond them are dropped and counted. */
  readonly sessions: number;
  /** Arrivals a second, over all sessions, whatever the answers take (open loop). */
  readonly ratePerSecond: number;
  /** Shares of the mix; they need not sum to 1. */
  readonly mix: { readonly read: number; readonly write: number; readonly transaction: number };
  /** How long each read takes on the server at least, whatever it reads. Default: as long as it takes. */
  readonly readMs?: number;
  /** Reads outside of transactions are named statements, over a table that a fault may alter. Default false. */
  readonly namedReads?: boolean;
  /** The harness's own writer, straight on the primary. */
  readonly heartbeatMs: number;
  /** After this a session gives an operation up; a read then counts as stalled and failed, a write as `info`. */
  readonly giveUpMs: number;
}
