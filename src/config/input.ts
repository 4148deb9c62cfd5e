/** A configuration as a plain object, in the shape of the YAML file. */
import type { DbValues, HealthCheckValues, ReplicaValues } from "./schema.ts";

/** What {@link resolveConfig} takes. Names, units and defaults are the file's; `${NAME}` is not replaced here. */
export interface ConfigInput {
  readonly db: Written<
    Omit<DbValues, "readReplicas" | "healthCheck" | "retries" | "fallback">,
    "host" | "username" | "database"
  > & {
    readonly healthCheck?: Written<HealthCheckValues>;
    readonly retries?: Written<DbValues["retries"]>;
    readonly fallback?: Written<DbValues["fallback"]>;
    readonly readReplicas?: readonly Written<ReplicaValues, "name" | "host">[];
  };
}

/** Numbers and durations may be written as text (`"5432"`, `"500ms"`); what has a default may be left out. */
type Written<T, Required extends keyof T = never> = {
  readonly [K in Exclude<keyof T, Required>]?: WrittenValue<T[K]> | undefined;
} & { readonly [K in Required]: WrittenValue<T[K]> };

type WrittenValue<T> = T extends number ? number | string : T;
