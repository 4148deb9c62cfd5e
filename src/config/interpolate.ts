/**
 * `${NAME}` and `${NAME:-default}` in one value. Works on values that have been parsed, never on a file's raw
 * text, so what a variable holds can be nothing but text: no quote, colon or newline in it changes the
 * structure. What a variable holds is not looked at again. `$${` stands for a literal `${`. Pure.
 */

export type Variables = Readonly<Record<string, string | undefined>>;

export interface Interpolation {
  readonly text: string;
  /** The variables whose values are in the text. */
  readonly variables: readonly string[];
  /** What is wrong, without the value's text: it may be a secret. */
  readonly problems: readonly string[];
}

const EXPRESSION = /\$\$\{|\$\{([^}]*)(\}?)/g;
const BODY = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

export function interpolate(text: string, environment: Variables): Interpolation {
  const variables: string[] = [];
  const problems: string[] = [];
  const replaced = text.replace(EXPRESSION, (match: string, body: string | undefined, end: string) => {
    if (body === undefined) return "${";
    const [, name, fallback] = BODY.exec(body) ?? [];
    if (name === undefined || end === "" || fallback?.includes("${") === true) {
      problems.push(
        "holds a malformed variable: write ${NAME} or ${NAME:-default} (without another variable in the default), or $${ for a literal ${",
      );
      return match;
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    // As in a shell: `:-` takes the default for an empty variable too, a bare ${NAME} may be empty.
    if (fallback !== undefined && (value === undefined || value === "")) return fallback;
    if (value === undefined) {
      problems.push(`the variable ${name} is not set: set it, or give a default with \${${name}:-…}`);
      return match;
    }
    variables.push(name);
    return value;
  });
  return { text: replaced, variables, problems };
}
