/** The architecture as a test: which folder may import which, and where time, chance and the environment may be touched. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative, resolve, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What each folder may import besides itself; the longest prefix of a file's path decides. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  "src/runtime": [],
  "src/errors.ts": [],
  "src/config": ["src/errors.ts"],
  // Pure: no promise, no I/O. It knows the configuration's shape and nothing else.
  "src/routing": ["src/config"],
  "src/driver": ["src/config", "src/errors.ts", "src/runtime", "src/routing"],
  "src/monitor": ["src/config", "src/driver", "src/errors.ts", "src/runtime", "src/routing"],
  src: ["src"],
  // Only the command line looks upward, and only by dynamic import.
  "src/cli": ["src"],
  "chaos/faults": [],
  "chaos/history": ["chaos", "src"],
  "chaos/checkers": ["chaos", "src"],
  chaos: ["chaos", "src"],
  // How faults are injected and seen, whatever the world; what is broken is in the other two.
  "sim/nemesis": ["sim/postgres/direct-connection.ts", "chaos", "src"],
  "sim/postgres": ["sim/nemesis", "chaos", "src"],
  "sim/toxiproxy": ["sim/nemesis", "sim/postgres", "chaos", "src"],
  "sim/embedded": ["sim/nemesis", "sim/postgres", "sim/toxiproxy", "chaos", "src"],
};

/** Doors to nondeterminism, and who may use them. */
const FORBIDDEN: readonly {
  readonly pattern: RegExp;
  readonly name: string;
  readonly except: readonly string[];
}[] = [
  ...["Date.now", "performance.now", "process.hrtime"].map((name) => ({
    name,
    pattern: new RegExp(`\\b${name.replace(".", "\\.")}\\b`),
    except: ["src/runtime"],
  })),
  { name: "new Date()", pattern: /\bnew Date\(\)/, except: ["src/runtime"] },
  { name: "Math.random", pattern: /\bMath\.random\b/, except: ["src/runtime"] },
  ...["setTimeout", "setInterval", "setImmediate"].map((name) => ({
    name,
    pattern: new RegExp(`(?<![.\\w#])${name}\\(`),
    except: ["src/runtime"],
  })),
  { name: "timers/promises", pattern: /timers\/promises/, except: ["src/runtime"] },
  { name: "AbortSignal.timeout", pattern: /\bAbortSignal\.timeout\b/, except: ["src/runtime"] },
  { name: "process.env", pattern: /\bprocess\.env\b/, except: ["src/config", "src/cli"] },
  {
    name: "crypto randomness",
    pattern: /\b(randomUUID|randomBytes|randomInt|getRandomValues)\b/,
    except: ["src/runtime"],
  },
];

/**
 * Real worlds talk to real processes and sockets: the files that must reach for the machine, each with its reason.
 * A path that no longer needs its entry makes the test fail too.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  // Programs are found on the PATH and started with the caller's environment; folders get names nobody else has.
  "sim/embedded/binary-cache.ts": ["process.env", "crypto randomness"],
  "sim/embedded/lease.ts": ["process.env"],
  "sim/embedded/toxiproxy.ts": ["process.env", "crypto randomness"],
  // Throw-away passwords and folder names must not follow from a seed.
  "sim/embedded/cluster.ts": ["crypto randomness"],
  "sim/embedded/world.ts": ["crypto randomness"],
  // Part of the supervisor, which must go on when everything else is gone: it imports next to nothing.
  "sim/embedded/reap.ts": ["performance.now", "timers/promises"],
};

const files = ["src", "chaos", "sim"].flatMap((folder) => sourcesBelow(join(ROOT, folder)));

describe("the tree", () => {
  it("imports only downwards: sim → chaos → src, and within them as the table says", () => {
    const violations = files.flatMap((file) =>
      importsOf(file)
        .filter(({ target, isType, isDynamic }) => !mayImport(file, target, isType || isDynamic))
        .map(({ target }) => `${file} imports ${target}`),
    );
    expect(violations).toEqual([]);
  });

  it("touches time, chance, timers and the environment only in their own folders", () => {
    const violations = files.flatMap((file) => {
      const code = withoutComments(readFileSync(join(ROOT, file), "utf8"));
      return FORBIDDEN.filter(
        ({ pattern, except, name }) =>
          pattern.test(code) &&
          !except.some((folder) => file.startsWith(folder)) &&
          !(ALLOWED[file] ?? []).includes(name),
      ).map(({ name }) => `${file} uses ${name}`);
    });
    expect(violations).toEqual([]);
  });

  it("keeps no exception that is no longer needed", () => {
    const unneeded = Object.entries(ALLOWED).flatMap(([file, names]) => {
      const code = withoutComments(readFileSync(join(ROOT, file), "utf8"));
      return names
        .filter((name) => !FORBIDDEN.some((rule) => rule.name === name && rule.pattern.test(code)))
        .map((name) => `${file}: ${name}`);
    });
    expect(unneeded).toEqual([]);
  });

  it("has no pure core that awaits or does I/O", () => {
    const violations = files
      .filter((file) => file.startsWith("src/routing/"))
      .filter((file) =>
        /\basync\b|\bawait\b|\bPromise\b|from "node:/.test(
          withoutComments(readFileSync(join(ROOT, file), "utf8")),
        ),
      );
    expect(violations).toEqual([]);
  });

  it("opens every file with what it is for", () => {
    const silent = files.filter(
      (file) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(readFileSync(join(ROOT, file), "utf8")),
    );
    expect(silent).toEqual([]);
  });

  it("would notice an import that points upwards, and a forbidden global", () => {
    expect(mayImport("src/router.ts", "chaos/runner.ts", false)).toBe(false);
    expect(mayImport("chaos/runner.ts", "sim/embedded/world.ts", false)).toBe(false);
    expect(mayImport("src/routing/decide.ts", "src/driver/driver.ts", false)).toBe(false);
    expect(mayImport("src/cli/chaos.ts", "chaos/runner.ts", false)).toBe(false);
    expect(mayImport("src/cli/chaos.ts", "chaos/runner.ts", true)).toBe(true);
    expect(FORBIDDEN.some(({ pattern }) => pattern.test("const t = Date.now()"))).toBe(true);
  });
});

/** `loadsNothing`: a dynamic import, or one of types, which is gone when the code runs. */
function mayImport(file: string, target: string, loadsNothing: boolean): boolean {
  if (file.startsWith("src/cli/") && loadsNothing) return true;
  const layer = layerOf(file);
  if (layerOf(target) === layer && layer !== "src") return true;
  const allowed = LAYERS[layer] ?? [];
  // The router itself never reaches into its command line.
  if (layer === "src" && target.startsWith("src/cli/")) return false;
  return allowed.some((folder) => target === folder || target.startsWith(`${folder}/`));
}

function layerOf(file: string): string {
  const candidates = Object.keys(LAYERS).filter((layer) => file === layer || file.startsWith(`${layer}/`));
  return candidates.sort((a, b) => b.length - a.length)[0] ?? file;
}

interface Import {
  readonly target: string;
  readonly isType: boolean;
  readonly isDynamic: boolean;
}

function importsOf(file: string): Import[] {
  const code = withoutComments(readFileSync(join(ROOT, file), "utf8"));
  const found: Import[] = [];
  const add = (specifier: string, isType: boolean, isDynamic: boolean): void => {
    if (!specifier.startsWith(".")) return;
    found.push({ target: relative(ROOT, resolve(ROOT, dirname(file), specifier)), isType, isDynamic });
  };
  for (const match of code.matchAll(/^\s*(import|export)(\s+type)?\b[^;"']*?from\s+"([^"]+)"/gm)) {
    add(match[3] as string, match[2] !== undefined, false);
  }
  for (const match of code.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)) add(match[1] as string, false, true);
  return found;
}

/** Good enough for our own formatted sources: comments go, strings stay. */
function withoutComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

function sourcesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sourcesBelow(path);
    return path.endsWith(".ts") ? [relative(ROOT, path)] : [];
  });
}
