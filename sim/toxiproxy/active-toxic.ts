/** A toxic as it is on a proxy: its type with the attributes, the direction and the toxicity asked for. */
import type { ToxicType, ToxicValues } from "./toxics/pipe.ts";

/** Which way: to the server (`upstream`), or from it to the client (`downstream`). */
export type Direction = "upstream" | "downstream";

export interface ActiveToxic {
  readonly name: string;
  readonly type: ToxicType;
  /** The direction as the caller spelt it, which the API echoes. */
  readonly stream: string;
  readonly direction: Direction;
  /** Attributes by wire name; 64-bit on the wire. Replaced as a whole by an update. */
  attributes: Readonly<Record<string, bigint>>;
  /** The share of connections that it works on, a 32-bit float. */
  toxicity: number;
}

/** What an update may change. */
export type ToxicChange = Pick<ActiveToxic, "attributes" | "toxicity">;

/** The attributes as numbers, with zero for what was not given. */
export function valuesOf(toxic: ActiveToxic): ToxicValues {
  return Object.fromEntries(
    toxic.type.attributes.map(({ name }) => [name, Number(toxic.attributes[name] ?? 0n)]),
  );
}
