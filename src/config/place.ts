/** Where a setting stands: its path in the tree, its place in the file, and the variables it was made of. */

export type Path = readonly (string | number)[];

export interface Place {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** One setting of a file, by {@link pathKey}. */
export interface SettingOrigin {
  readonly value: Place;
  /** Where its key stands; the value's own place for an item of a list. */
  readonly key: Place;
  /** Names of the variables whose values went into it. */
  readonly variables: readonly string[];
}

/** Something found wrong at a path, before its place has been looked up. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** Point at the key, because that is what is wrong, instead of at the value. */
  readonly at?: "key";
}

/** A path as a map's key; unlike {@link formatPath}, no two paths share one. */
export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** `db.readReplicas[0].weight` */
export function formatPath(path: Path): string {
  return path
    .map((step, depth) => {
      if (typeof step === "number") return `[${step}]`;
      const name = /^[\w-]+$/.test(step) ? step : JSON.stringify(step);
      return depth === 0 ? name : `.${name}`;
    })
    .join("");
}
