/**
 * The thread in which the subject and its workload live, apart from the runner, the nemesis and the proxies: none of them
 * may make the others wait. Started by thread.ts; does what it is ordered to, and sends its part of the history in batches.
 */
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../src/runtime/clock.ts";
import type { Timer } from "../../src/runtime/clock.ts";
import { HistorySource } from "../history/recorder.ts";
import { loadSubject } from "../subjects/index.ts";
import type { Command, Order, Report, WorkerSetting } from "./protocol.ts";
import { Stage } from "./stage.ts";

const BATCH_EVERY_MS = 50;

function main(): void {
  const port = parentPort;
  if (port === null) throw new Error("worker.ts is started by thread.ts, not by itself");
  const { setting, subject } = workerData as WorkerSetting;
  const report = (what: Report): void => port.postMessage(what);

  const source = new HistorySource();
  let timer: Timer | undefined;
  const send = (): void => {
    systemClock.cancel(timer);
    timer = undefined;
    const batch = source.drain();
    if (batch.drafts.length > 0) report({ kind: "batch", batch });
  };

  const stage = new Stage({
    setting,
    clock: systemClock,
    record: (draft) => {
      timer ??= systemClock.schedule(BATCH_EVERY_MS, send);
      return source.append(draft);
    },
    loadSubject: () => loadSubject(subject),
    ownThread: true,
  });
  port.on("message", ({ id, command }: Order) => {
    carryOut(stage, command)
      .then((value) => {
        send();
        report({ kind: "done", id, value });
      })
      .catch((error: unknown) => {
        send();
        report({ kind: "failed", id, message: error instanceof Error ? error.message : String(error) });
      });
  });
}

async function carryOut(stage: Stage, command: Command): Promise<unknown> {
  switch (command) {
    case "load":
      return await stage.load();
    case "connect":
      return await stage.connect();
    case "begin":
      return stage.begin();
    case "quiet-on":
      return await stage.quiet(true);
    case "quiet-off":
      return await stage.quiet(false);
    case "stop":
      return await stage.stop();
    case "close":
      return await stage.close();
  }
}

main();
