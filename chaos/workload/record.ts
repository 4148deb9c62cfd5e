/** Takes an entry down, and gives the number by which its source knows it. */
import type { HistoryDraft } from "../history/recorder.ts";

export type RecordEntry = (draft: HistoryDraft) => number;
