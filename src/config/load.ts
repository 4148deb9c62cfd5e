/** A configuration file → RouterConfig, or every problem with its line. The only door to `process.env`. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseEnv } from "node:util";
import { ConfigError } from "./config-error.ts";
import type { RouterConfig } from "./config.ts";
import type { Variables } from "./interpolate.ts";
import { formatPath, pathKey } from "./place.ts";
import type { Finding } from "./place.ts";
import { describeReadError } from "./read-error.ts";
import { resolve } from "./resolve.ts";
import { readYaml } from "./yaml-source.ts";
import type { YamlSource } from "./yaml-source.ts";

export interface LoadOptions {
  /** What `${NAME}` stands for. Default: the process's environment. */
  readonly env?: Variables | undefined;
  /**
   * A file of further variables, `NAME=value` a line. What {@link env} says wins, even when it is empty, as
   * with docker compose: a deployment overrides its file.
   */
  readonly envFile?: string | undefined;
}

export interface ParseOptions {
  /** How errors name the text; certificates are looked for from its folder. Default: `config`, in the working directory. */
  readonly file?: string | undefined;
  /** What `${NAME}` stands for. Default: the process's environment. */
  readonly env?: Variables | undefined;
}

/**
 * Reads, checks and completes a YAML file. Paths of certificates in it are relative to the file.
 * @throws ConfigError (`CONFIG_INVALID`) with every problem at once, a line each: `file:line:col: setting: problem`
 */
export async function loadConfig(path: string, options: LoadOptions = {}): Promise<RouterConfig> {
  const env = options.env ?? process.env;
  const { envFile } = options;
  const fromFile = envFile === undefined ? {} : parseEnv(await readText(envFile));
  const defined = Object.entries(env).filter(([, value]) => value !== undefined);
  return parseConfig(await readText(path), {
    file: path,
    env: { ...fromFile, ...Object.fromEntries(defined) },
  });
}

/**
 * The same from text that has been read already.
 * @throws ConfigError (`CONFIG_INVALID`) with every problem at once
 */
export function parseConfig(text: string, options: ParseOptions = {}): RouterConfig {
  const { file, env = process.env } = options;
  const source = readYaml(text, env);
  const hasSection = source.value !== undefined;
  const { config, findings } = hasSection
    ? resolve(source.value, {
        folder: file === undefined ? "." : dirname(file),
        isSecret: (path) => source.origins.get(pathKey(path))?.variables.some(namesSecret) === true,
      })
    : { config: undefined, findings: [] };
  if (config !== undefined && source.problems.length === 0) return config;
  throw new ConfigError([
    ...source.problems.map(({ path, place, message }) => ({
      file: file ?? "config",
      ...place,
      path: formatPath(path),
      message,
    })),
    ...findings.map((finding) => ({ file: file ?? "config", ...located(finding, source) })),
  ]);
}

/** What is missing has no place of its own: the section that should hold it is pointed at. */
function located({ path, message, at }: Finding, source: YamlSource) {
  for (let length = path.length; length > 0; length--) {
    const origin = source.origins.get(pathKey(path.slice(0, length)));
    if (origin === undefined) continue;
    const itself = length === path.length;
    const { line, column } = itself && at !== "key" ? origin.value : origin.key;
    const names = itself ? origin.variables.map((name) => `\${${name}}`).join(", ") : "";
    const from = names === "" ? "" : ` (from ${names})`;
    return { line, column, path: formatPath(path), message: `${message}${from}` };
  }
  return { line: undefined, column: undefined, path: formatPath(path), message };
}

/** A secret may have landed in the wrong setting: `port: ${DB_PASSWORD}`. */
function namesSecret(variable: string): boolean {
  return /pass|pwd|secret|token|key|credential/i.test(variable);
}

async function readText(path: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (cause) {
    const message = `cannot be read: ${describeReadError(cause)}`;
    const problem = { file: path, line: undefined, column: undefined, path: "", message };
    throw new ConfigError([problem], { cause });
  }
}
