/** Hands a run's report over: as a file beside its histories, on the terminal, and wherever a flag says. */
import { join } from "node:path";
import type { Io } from "./io.ts";
import { writeOutput } from "./outputs.ts";
import type { RunReport } from "../../chaos/report/report.ts";

export interface Delivery {
  readonly flags: {
    readonly json?: string;
    readonly junit?: string;
    readonly markdown?: string;
  };
  readonly io: Io;
  /** The run's folder. */
  readonly directory: string;
}

export async function deliver(report: RunReport, { flags, io, directory }: Delivery): Promise<void> {
  const [{ markdownReport }, { junitReport }, { terminalReport }] = await Promise.all([
    import("../../chaos/report/markdown.ts"),
    import("../../chaos/report/junit.ts"),
    import("../../chaos/report/terminal.ts"),
  ]);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  await writeOutput(join(directory, "report.json"), json, io);
  const stdoutIsTaken = [flags.json, flags.junit, flags.markdown].includes("-");
  if (!stdoutIsTaken) {
    for (const line of terminalReport(report, { color: io.color, columns: io.columns })) io.stdout(line);
    io.stdout(`history, logs and verdicts: ${directory}`);
  }
  if (flags.json !== undefined) await writeOutput(flags.json, json, io);
  if (flags.junit !== undefined) await writeOutput(flags.junit, junitReport(report), io);
  if (flags.markdown !== undefined) await writeOutput(flags.markdown, markdownReport(report), io);
}
