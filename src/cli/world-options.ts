/** `--toxiproxy` and `--pg-bin`: what a world is started with, looked at before anything is started or made. */
import { systemClock } from "../runtime/clock.ts";
import { UsageError } from "./io.ts";

export interface WorldFlags {
  readonly toxiproxy?: string;
  readonly pgBin?: string;
}

/** @throws UsageError when there is no PostgreSQL, or no Toxiproxy, where a flag says so */
export async function worldOptions({ toxiproxy, pgBin }: WorldFlags): Promise<WorldFlags> {
  const choice = toxiproxy === undefined ? undefined : toxiproxyChoice(toxiproxy);
  const [{ findBinaries }, { unprivilegedOwner }, { lookForToxiproxy }] = await Promise.all([
    import("../../sim/embedded/binaries.ts"),
    import("../../sim/embedded/unprivileged-user.ts"),
    import("../../sim/embedded/toxiproxy.ts"),
  ]);
  await asUsage(() => findBinaries({ pgBin, owner: unprivilegedOwner() }));
  if (choice !== undefined) await asUsage(() => lookForToxiproxy(choice, systemClock));
  return {
    ...(choice === undefined ? {} : { toxiproxy: choice }),
    ...(pgBin === undefined ? {} : { pgBin }),
  };
}

function toxiproxyChoice(flag: string): string {
  if (flag === "builtin" || flag === "path") return flag;
  if (URL.canParse(flag) && /^https?:$/.test(new URL(flag).protocol)) return flag.replace(/\/+$/, "");
  throw new UsageError(
    `--toxiproxy takes builtin, path or a URL such as http://127.0.0.1:8474, got "${flag}"`,
  );
}

async function asUsage<T>(look: () => Promise<T>): Promise<void> {
  try {
    await look();
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}
