/** Leaves a run behind as files: its history, what the router said, the verdicts, and each server's log. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeHistory } from "../history/jsonl.ts";
import type { History } from "../history/operation.ts";
import type { ScenarioResult } from "../report/report.ts";
import type { World } from "../world.ts";

export interface RunFiles {
  /** The folder of all scenarios; this one's is in it, by its name. */
  readonly directory: string;
  readonly world: World;
  readonly history: History;
  readonly result: ScenarioResult;
  readonly measured: { readonly from: number; readonly until: number };
}

export async function writeRun({ directory, world, history, result, measured }: RunFiles): Promise<void> {
  const folder = join(directory, result.directory);
  await mkdir(folder, { recursive: true });
  const { scenario, seed } = result;
  const testimony = history.filter((entry) => entry.type === "testimony");
  const events = testimony.map(({ at, event }) => `${JSON.stringify({ at, ...event })}\n`).join("");
  const verdicts = `${JSON.stringify({ ...result, ...measured }, undefined, 2)}\n`;
  await Promise.all([
    writeHistory(join(folder, "history.jsonl"), { about: { scenario, seed, ...measured }, history }),
    writeFile(join(folder, "events.jsonl"), events),
    writeFile(join(folder, "verdicts.json"), verdicts),
    world.collectLogs(folder),
  ]);
}
