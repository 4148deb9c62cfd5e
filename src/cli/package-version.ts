/** The package's own version, from its package.json: two levels up from sources, three from `dist`. */
import { existsSync, readFileSync } from "node:fs";

export const packageVersion: string = readVersion();

function readVersion(): string {
  for (const level of ["../../package.json", "../../../package.json"]) {
    const url = new URL(level, import.meta.url);
    if (!existsSync(url)) continue;
    const manifest = JSON.parse(readFileSync(url, "utf8")) as {
      readonly name?: string;
      readonly version?: string;
    };
    if (manifest.name === "fairlead" && manifest.version !== undefined) return manifest.version;
  }
  throw new Error("package.json of fairlead was not found beside its code");
}
