/** A table that an application reads by name gets a column, and loses it, again and again: plans made before do not fit after. */
import type { NodeName } from "../../chaos/faults/fault.ts";
import { ALTERED_TABLE } from "../../chaos/workload/statements.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { FaultProcedure } from "../nemesis/procedure.ts";
import type { Missing, Watch } from "../nemesis/watch.ts";
import { Repeated } from "./repeated.ts";

/** `feature_not_supported`: "cached plan must not change result type". */
const STALE_PLAN = "0A000";

const ADD = `ALTER TABLE ${ALTERED_TABLE} ADD COLUMN IF NOT EXISTS extra integer`;
const DROP = `ALTER TABLE ${ALTERED_TABLE} DROP COLUMN IF EXISTS extra`;

/** Readers come in between, and a lock that has to wait for one holds up all. */
const alterEveryMs = 200;

export function tableAltered(estate: Estate, node: NodeName): FaultProcedure {
  let altering: Repeated | undefined;
  /** Where plans are looked at: replayed DDL counts. */
  const observer = estate.nodes.find((each) => each !== node && estate.leaderOf(each) === node) ?? node;
  return {
    async inject() {
      altering ??= new Repeated({
        connection: await estate.connect(node),
        clock: estate.clock,
        everyMs: alterEveryMs,
        statements: (round) => [round % 2 === 0 ? ADD : DROP],
      });
    },
    observeOn: (watch) => watch.until(() => seePlan(estate, observer, watch, "stale")),
    async heal() {
      await altering?.end();
      altering = undefined;
      await using primary = await estate.connect(node);
      await primary.query(DROP);
    },
    observeOff: (watch) => watch.until(() => seePlan(estate, observer, watch, "lasting")),
  };
}

/** Does a plan that is made now still fit a few changes later? */
async function seePlan(
  estate: Estate,
  node: NodeName,
  watch: Watch,
  expected: "stale" | "lasting",
): Promise<Missing> {
  await using server = await estate.connect(node);
  await server.query(`PREPARE plan AS SELECT * FROM ${ALTERED_TABLE}`);
  await server.query("EXECUTE plan");
  await watch.pause(1.5 * alterEveryMs);
  const found = await server.query("EXECUTE plan").then(
    () => "lasting",
    (error: unknown) => {
      if ((error as { readonly code?: unknown }).code === STALE_PLAN) return "stale";
      throw error;
    },
  );
  return found === expected ? undefined : `a plan is ${found}`;
}
