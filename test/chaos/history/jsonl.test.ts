import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HistoryFileError, readHistory, writeHistory } from "../../../chaos/history/jsonl.ts";
import { faults, HistoryBuilder } from "../history-builder.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fairlead-history-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function everything(): HistoryBuilder {
  return new HistoryBuilder()
    .heartbeat(1, 0)
    .read({ at: 10, heartbeat: 1 })
    .write({ id: 7, at: 20, type: "info" })
    .transaction({ at: 30, type: "fail" })
    .read({ at: 35, type: "none", process: 3 })
    .read({ at: 36, process: 4, ownWrite: 7, replayLsn: "0/10" })
    .fault(faults.slow("replica-1", 50), [40, 45], [50, null])
    .fault(faults.killed("primary"), [60, 65])
    .tell(70, { kind: "log", level: "warn", message: "a line\nwith a break and ü" })
    .tell(71, { kind: "epoch", epoch: 1, weights: { "replica-1": 1 } })
    .tell(72, { kind: "epoch-picks", epoch: 1, picks: ["replica-1"], apart: 0 })
    .tell(73, { kind: "evicted", node: "replica-1", reason: "lagging", basis: "b" })
    .tell(74, { kind: "fallback-started" })
    .tell(75, { kind: "joined", node: "replica-1" })
    .resources(80, { phase: "running", serverConnections: { primary: 1 }, handles: { Timeout: 1 } })
    .dropped(85)
    .final(90, [[7, 1]], [8]);
}

test("what is written is read back as it was", async () => {
  const path = join(folder, "whole.jsonl");
  const history = everything().build();
  await writeHistory(path, { about: { seed: 7 }, history });
  expect(await readHistory(path)).toEqual({ about: { seed: 7 }, history });
  const [first] = (await readFile(path, "utf8")).split("\n");
  expect(JSON.parse(first ?? "")).toEqual({ format: "fairlead-history", version: 1, about: { seed: 7 } });
});

test("a long history goes through in pieces", async () => {
  const path = join(folder, "long.jsonl");
  const builder = new HistoryBuilder();
  for (let at = 0; at < 20_000; at++) builder.read({ at, tookMs: 0.5 });
  const history = builder.build();
  await writeHistory(path, { about: {}, history });
  expect((await readHistory(path)).history).toEqual(history);
});

test("a file that cannot be written is an error", async () => {
  const path = join(folder, "no", "such", "folder.jsonl");
  await expect(writeHistory(path, { about: {}, history: [] })).rejects.toThrow("ENOENT");
});

const HEADER = '{"format":"fairlead-history","version":1,"about":{}}';
const INVOKE = '{"type":"invoke","index":0,"process":0,"f":"read","at":0,"intendedAt":0}';

test.each([
  ["", ":1: the file is empty"],
  ['{"hello":1}', ':1: not a history: the first line must have "format": "fairlead-history"'],
  [HEADER.replace("1", "2"), ":1: version 2 of the format is unknown; this program reads 1"],
  [
    `${HEADER}\n${INVOKE}\n{"type":"ok","ind`,
    ':3: not a line of JSON (was the writing cut off?): {"type":"ok","ind',
  ],
  [`${HEADER}\n${INVOKE.replace("invoke", "invok")}`, ":2: type: "],
  [`${HEADER}\n${INVOKE.replace('"at":0', '"at":"0"')}`, ":2: at: "],
  [`${HEADER}\n${INVOKE.replace('"index":0', '"index":1')}`, ":2: index: expected 0, got 1"],
  [
    `${HEADER}\n${INVOKE}\n{"type":"ok","index":1,"process":1,"f":"read","at":1,"invoke":0}`,
    ":3: invoke: 0 is no earlier read of process 1",
  ],
  [
    `${HEADER}\n{"type":"nemesis","index":0,"phase":"inject","fault":{"kind":"link-down","link":"x"},"faultId":0,"begunAt":0,"observedAt":null}`,
    ":2: fault.link: ",
  ],
])("%j is refused by file and line", async (text, expected) => {
  const path = join(folder, "bad.jsonl");
  await writeFile(path, text);
  const error: unknown = await readHistory(path).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(HistoryFileError);
  expect((error as HistoryFileError).message).toContain(`${path}${expected}`);
});

test("a file that is not there is an error", async () => {
  await expect(readHistory(join(folder, "none.jsonl"))).rejects.toThrow("ENOENT");
});
