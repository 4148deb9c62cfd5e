/** What the runner's thread and the subject's thread say to each other: plain data. */
import type { HistoryBatch } from "../history/recorder.ts";
import type { SubjectSource } from "./host.ts";
import type { StageSetting } from "./stage.ts";

export interface WorkerSetting {
  readonly setting: StageSetting;
  readonly subject: SubjectSource;
}

export type Command = "load" | "connect" | "begin" | "quiet-on" | "quiet-off" | "stop" | "close";

export interface Order {
  readonly id: number;
  readonly command: Command;
}

export type Report =
  | { readonly kind: "batch"; readonly batch: HistoryBatch }
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };
