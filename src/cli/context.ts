/** What stricli hands to every command. */
import type { CommandContext, StricliProcess } from "@stricli/core";
import type { Io } from "./io.ts";

export interface Context extends CommandContext {
  readonly process: StricliProcess;
  readonly io: Io;
  readonly finish: (exitCode: number) => void;
  readonly fail: (error: unknown) => void;
}

/** Makes a command's function out of one that takes an {@link Io} and gives an exit code. */
export function withExitCode<Flags, Args extends readonly unknown[]>(
  command: (flags: Flags, args: Args, io: Io) => Promise<number>,
): (this: Context, flags: Flags, ...args: Args) => Promise<void> {
  return async function runCommand(this: Context, flags: Flags, ...args: Args): Promise<void> {
    try {
      this.finish(await command(flags, args, this.io));
    } catch (error) {
      this.fail(error);
    }
  };
}
