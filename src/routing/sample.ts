/** What one probe of one node found. The monitor makes these from the probe's row; the core judges them. */
import type { Lsn } from "./lsn.ts";

interface SampleBase {
  /** `pg_control_system().system_identifier`: the same on every node of one cluster. */
  readonly systemId: string;
  readonly timeline: number;
  readonly serverVersionNum: number;
}

export interface PrimarySample extends SampleBase {
  readonly role: "primary";
  /** Insert position, page headers taken off: covers every commit acknowledged before the probe was sent. */
  readonly insert: Lsn;
  /** Flush position: covers commits acknowledged 3 × `wal_writer_delay` before the probe was sent. */
  readonly flush: Lsn;
  readonly walWriterDelayMs: number;
}

export interface ReplicaSample extends SampleBase {
  readonly role: "replica";
  /** `undefined` when nothing has been replayed yet: what cannot be seen is unknown, never zero. */
  readonly replay: Lsn | undefined;
  readonly replayPaused: boolean;
  /** `hidden`: the role may not see it (no `pg_monitor`), which is not the same as gone. */
  readonly walReceiver: "streaming" | "waiting" | "gone" | "hidden";
}

export type NodeSample = PrimarySample | ReplicaSample;
