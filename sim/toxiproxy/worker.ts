/** The thread that a built-in Toxiproxy lives in. It is told what to be by `start.ts`, and when to end. */
import { parentPort, workerData } from "node:worker_threads";
import { createToxiproxyServer } from "./server.ts";
import type { ToxiproxyServerOptions } from "./server.ts";

/** What the thread says when the server is up, or could not come up. */
export type WorkerReport =
  | { readonly kind: "listening"; readonly url: string; readonly host: string; readonly port: number }
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string };

async function main(): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error("worker.ts is started by start.ts, not by itself");
  const report = (what: WorkerReport): void => port.postMessage(what);
  try {
    const server = await createToxiproxyServer(workerData as ToxiproxyServerOptions);
    // The one message there is: close. With the port closed nothing keeps the thread alive.
    port.once("message", () => {
      void server.close().then(() => port.close());
    });
    report({ kind: "listening", url: server.url, host: server.host, port: server.port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    report({ kind: "failed", code, message });
  }
}

await main();
