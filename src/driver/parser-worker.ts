/** The thread of `parser-thread.ts`: a text comes in, what was read goes out. */
import { parentPort } from "node:worker_threads";
import { readWith } from "../routing/parser.ts";
import type { ReadOutcome } from "../routing/parser.ts";
import { createSqlParser } from "./sql-parser.ts";

const parser = await createSqlParser();

parentPort?.on("message", (text: string) => void answer(text));

async function answer(text: string): Promise<void> {
  await parser.ready();
  parentPort?.postMessage(readWith(parser, text) satisfies ReadOutcome);
}
