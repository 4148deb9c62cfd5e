/** The one command that runs a scenario again as it ran now, to be pasted into a shell. Pure. */

export interface ReproduceFlags {
  readonly config?: string;
  readonly envFile?: string;
  readonly subject?: string;
  readonly toxiproxy?: string;
  readonly pgBin?: string;
}

const FLAGS = ["config", "envFile", "subject", "toxiproxy", "pgBin"] as const;

export function reproduceCommand(scenario: string, seed: number, flags: ReproduceFlags): string {
  const rest = FLAGS.flatMap((name) => {
    const value = flags[name];
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return value === undefined ? [] : [`--${flag} ${shellQuoted(value)}`];
  });
  return ["npx fairlead chaos", scenario, `--seed ${seed}`, ...rest].join(" ");
}

function shellQuoted(value: string): string {
  return /^[\w./:@%+=-]+$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
