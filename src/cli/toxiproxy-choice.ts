/** `--toxiproxy`: builtin, path, or a URL. */
import { UsageError } from "./io.ts";

export function toxiproxyChoice(flag: string | undefined): { toxiproxy?: string } {
  if (flag === undefined || flag === "builtin" || flag === "path")
    return flag === undefined ? {} : { toxiproxy: flag };
  if (!URL.canParse(flag) || !/^https?:$/.test(new URL(flag).protocol)) {
    throw new UsageError(
      `--toxiproxy takes builtin, path or a URL such as http://127.0.0.1:8474, got "${flag}"`,
    );
  }
  return { toxiproxy: flag.replace(/\/+$/, "") };
}
