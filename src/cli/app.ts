/** Every command with its flags; what a command does is in the file that its loader names. */
import { buildApplication, buildCommand, buildRouteMap } from "@stricli/core";
import type { Application, Command } from "@stricli/core";
import { withExitCode } from "./context.ts";
import type { Context } from "./context.ts";
import { packageVersion } from "./package-version.ts";
import { parseInteger } from "./parse-integer.ts";
import { texts } from "./texts.ts";

const seed = (input: string): number =>
  parseInteger(input, { what: "--seed", minimum: 0, maximum: 2 ** 32 - 1 });
const port = (input: string): number => parseInteger(input, { what: "--port", minimum: 0, maximum: 65_535 });
const text = (input: string): string => input;

const config = {
  kind: "parsed",
  parse: text,
  optional: true,
  placeholder: "FILE",
  brief: "Router configuration (YAML) whose thresholds, weights and pool sizes are used",
} as const;
const envFile = {
  kind: "parsed",
  parse: text,
  optional: true,
  placeholder: "FILE",
  brief: "File of NAME=value lines for ${NAME} in the configuration",
} as const;
const toxiproxy = {
  kind: "parsed",
  parse: text,
  optional: true,
  placeholder: "builtin|path|URL",
  brief:
    "Toxiproxy for the links: built in, a toxiproxy-server on the PATH, or a running one (default = builtin)",
} as const;
const pgBin = {
  kind: "parsed",
  parse: text,
  optional: true,
  placeholder: "DIR",
  brief: "Folder with PostgreSQL's programs, 14 to 18 (default = the ones from npm)",
} as const;
const output = (what: string) =>
  ({
    kind: "parsed",
    parse: text,
    optional: true,
    placeholder: "FILE",
    brief: `Write the ${what}; - is stdout`,
  }) as const;
const toggle = (brief: string) => ({ kind: "boolean", optional: true, withNegated: false, brief }) as const;

const chaos: Command<Context> = buildCommand({
  loader: async () => withExitCode((await import("./chaos.ts")).runChaos),
  parameters: {
    flags: {
      list: toggle("List the scenarios and stop"),
      all: toggle("Run the extended scenarios as well"),
      seed: {
        kind: "parsed",
        parse: seed,
        optional: true,
        placeholder: "N",
        brief: "Repeat the run that drew this seed",
      },
      config,
      envFile,
      subject: {
        kind: "parsed",
        parse: text,
        optional: true,
        placeholder: "NAME|FILE",
        brief: "Router under test: fairlead, naive, or a module that exports a subject (default = fairlead)",
      },
      toxiproxy,
      pgBin,
      keep: toggle("After a failure keep the cluster up, print how to reach it, and wait for Ctrl-C"),
      out: {
        kind: "parsed",
        parse: text,
        optional: true,
        placeholder: "DIR",
        brief: "Folder for histories and logs (default = .fairlead/runs/<time>-<seed>)",
      },
      json: output("verdicts as JSON"),
      junit: output("verdicts as JUnit XML"),
      markdown: output("verdicts as Markdown"),
    },
    positional: {
      kind: "array",
      parameter: {
        parse: text,
        placeholder: "scenario",
        brief: "Scenarios to run (default = all but the extended ones)",
      },
    },
  },
  docs: {
    brief: "Break a real cluster on purpose and judge the router by what its clients saw",
    fullDescription:
      "Brings up a PostgreSQL primary with three streaming replicas, each link through a Toxiproxy proxy, runs the " +
      "scenarios and prints the verdicts.\nExit codes: 0 every invariant held, 1 one fell, 2 usage or configuration, " +
      "3 could not be judged, 130 interrupted.",
  },
});

const up: Command<Context> = buildCommand({
  loader: async () => withExitCode((await import("./up.ts")).runUp),
  parameters: {
    flags: { toxiproxy, pgBin },
  },
  docs: { brief: "Keep the same cluster running and print how to reach it; Ctrl-C removes all of it" },
});

const bench: Command<Context> = buildCommand({
  loader: async () => withExitCode((await import("./bench.ts")).runBench),
  parameters: {
    flags: {
      pgBin,
      quick: toggle("Fewer rounds: only the asserted figures"),
      json: output("figures as JSON"),
    },
  },
  docs: {
    brief:
      "Measure what the router adds to a query, paired with bare pg; exit 1 when p99 grows by 1 ms or more, 3 when noise hides it",
  },
});

const explain: Command<Context> = buildCommand({
  loader: async () => withExitCode((await import("./explain.ts")).runExplain),
  parameters: {
    flags: {
      config: {
        ...config,
        brief: "Router configuration: asks its live databases, and says which node would be chosen",
      },
      envFile,
      dsn: {
        kind: "parsed",
        parse: text,
        optional: true,
        placeholder: "URL",
        brief: "postgres:// URL of one database whose tables, views and functions are looked up",
      },
      json: toggle("Answer with one JSON object"),
      stdin: toggle("Read one JSON string a line, answer one JSON object a line"),
    },
    positional: {
      kind: "tuple",
      parameters: [{ parse: text, placeholder: "sql", optional: true, brief: "The statement" }],
    },
  },
  docs: { brief: "Say where a statement would go, and why" },
});

const toxiproxyServer: Command<Context> = buildCommand({
  loader: async () => {
    const { runToxiproxyCommand } = await import("./toxiproxy.ts");
    return withExitCode((flags: Parameters<typeof runToxiproxyCommand>[0], _args, io) =>
      runToxiproxyCommand(flags, io),
    );
  },
  parameters: {
    flags: {
      host: {
        kind: "parsed",
        parse: text,
        optional: true,
        placeholder: "HOST",
        brief: "Where the API listens (default = 127.0.0.1)",
      },
      port: {
        kind: "parsed",
        parse: port,
        optional: true,
        placeholder: "N",
        brief: "The API's port, 0 for a free one (default = 8474)",
      },
      config: {
        kind: "parsed",
        parse: text,
        optional: true,
        placeholder: "FILE",
        brief: "JSON array of proxies to begin with",
      },
    },
  },
  docs: { brief: "Run the built-in Toxiproxy-compatible server alone" },
});

export const app: Application<Context> = buildApplication(
  buildRouteMap({
    routes: { chaos, up, bench, explain, toxiproxy: toxiproxyServer },
    docs: { brief: "Proves a PostgreSQL read/write split before production does" },
  }),
  {
    name: "fairlead",
    versionInfo: { currentVersion: packageVersion },
    scanner: { caseStyle: "allow-kebab-for-camel" },
    documentation: { caseStyle: "convert-camel-to-kebab" },
    localization: { text: texts },
  },
);
