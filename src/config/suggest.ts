/** "Did you mean": the known name that a mistyped one most resembles. Pure. */

export function suggest(typed: string, known: readonly string[]): string | undefined {
  const wanted = normalised(typed);
  if (wanted === "" || typed.length > 64) return undefined;
  const tolerance = Math.max(1, Math.floor(wanted.length / 3));
  let best: string | undefined;
  let bestDistance = tolerance + 1;
  for (const name of known) {
    const distance = editDistance(wanted, normalised(name));
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best ?? (wanted.length < 3 ? undefined : known.find((name) => normalised(name).startsWith(wanted)));
}

/** `ssl_mode`, `ssl-mode` and `sslmode` all mean `sslMode`. */
function normalised(name: string): string {
  return name.toLowerCase().replaceAll(/[_\s-]/g, "");
}

/** @see Levenshtein distance, by rows (Wagner and Fischer, 1974) */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
