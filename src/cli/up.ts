/** `fairlead up`: the chaos suite's cluster, kept running for whoever wants to look. */
import { requireHarness } from "./harness.ts";
import { EXIT, untilAborted } from "./io.ts";
import type { Io } from "./io.ts";
import { howToReach } from "./how-to-reach.ts";
import { worldOptions } from "./world-options.ts";

export interface UpFlags {
  readonly toxiproxy?: string;
  readonly pgBin?: string;
}

export async function runUp(flags: UpFlags, _args: readonly [], io: Io): Promise<number> {
  requireHarness({ pgBin: flags.pgBin, links: true, tinybench: false });
  const options = await worldOptions(flags);
  const { startEmbeddedWorld } = await import("../../sim/embedded/world.ts");
  await using world = await startEmbeddedWorld({
    seed: 1,
    signal: io.signal,
    onProgress: (step) => io.stderr(step),
    ...options,
  });
  for (const line of await howToReach(world)) io.stdout(line);
  io.stdout("Ctrl-C removes all of it.");
  await untilAborted(io.signal);
  io.stderr("removing the cluster");
  return EXIT.interrupted;
}
