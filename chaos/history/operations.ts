/** Which completion answers which invocation. Pure; one pass, and a typed array instead of a map where it can be. */
import type { Completion, History, Invoke } from "./operation.ts";

/** One call of a client, from the time it was made to its answer, if one came. */
export type OperationVisitor = (invoke: Invoke, completion: Completion | undefined) => void;

/** Calls `visit` for every operation, in the order of invocation. */
export function forEachOperation(history: History, visit: OperationVisitor): void {
  const completions = completionPositions(history);
  for (let i = 0; i < history.length; i++) {
    const entry = history[i];
    if (entry?.type !== "invoke") continue;
    const position = completions[i] as number;
    visit(entry, position === 0 ? undefined : (history[position] as Completion));
  }
}

/** The latest time that the history knows of; 0 when it is empty. */
export function endOf(history: History): number {
  let end = 0;
  for (const entry of history) {
    if (entry.type === "nemesis") end = Math.max(end, entry.begunAt, entry.observedAt ?? 0);
    else if (entry.at > end) end = entry.at;
  }
  return end;
}

// Every checker of a run asks for the same.
const known = new WeakMap<History, Uint32Array>();

/** By position of the invocation; 0 (where no completion can stand) for none. */
function completionPositions(history: History): Uint32Array {
  const positions = known.get(history) ?? pair(history);
  known.set(history, positions);
  return positions;
}

function pair(history: History): Uint32Array {
  const positions = new Uint32Array(history.length);
  const positionOf = invocationPositions(history);
  for (let i = 0; i < history.length; i++) {
    const entry = history[i];
    if (entry?.type !== "ok" && entry?.type !== "fail" && entry?.type !== "info") continue;
    const position = positionOf(entry.invoke);
    const invoke = position === undefined ? undefined : history[position];
    if (
      position === undefined ||
      position > i ||
      invoke?.type !== "invoke" ||
      invoke.process !== entry.process
    ) {
      throw new Error(
        `entry ${entry.index} answers ${entry.invoke}, which is no earlier invocation of its process`,
      );
    }
    if (positions[position] !== 0) throw new Error(`invocation ${entry.invoke} was answered twice`);
    positions[position] = i;
  }
  return positions;
}

/** As recorded, an entry's index is its position; a part of a history needs a map. */
function invocationPositions(history: History): (index: number) => number | undefined {
  if (history.every((entry, position) => entry.index === position)) return (index) => index;
  const map = new Map<number, number>();
  history.forEach((entry, position) => {
    if (entry.type === "invoke") map.set(entry.index, position);
  });
  return (index) => map.get(index);
}
