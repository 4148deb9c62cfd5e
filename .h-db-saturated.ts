import { startEmbeddedWorld } from "/work/main/sim/embedded/world.ts";
import { suitePolicy } from "/work/main/chaos/suite.ts";
import { createRouter } from "/work/main/src/router.ts";
import { silentLogger } from "/work/main/src/runtime/logger.ts";
import pg from "pg";
await using world = await startEmbeddedWorld({ seed: 1 });
const router = await createRouter(suitePolicy(world.rig), { logger: silentLogger, seed: 1 });
const events: string[] = [];
router.on("change", (c) => { if (c.kind !== "epoch") events.push(JSON.stringify(c)); });
await Promise.all(Array.from({ length: 40 }, () => router.read("select 1")));
// fill replica-1, keep the probe's connection
const { host, port } = world.cluster.endpoint("replica-1");
const held: pg.Client[] = [];
const fill = async () => { for (;;) { const c = new pg.Client({ host, port, user: world.rig.user, password: world.rig.password, database: world.rig.database, application_name: "hog" }); c.on("error", () => {}); try { await c.connect(); held.push(c); } catch { return; } } };
await fill();
const gone = await world.cluster.sql("replica-1", "select pid, pg_terminate_backend(pid) from pg_stat_activity where backend_type='client backend' and application_name not in ('hog','fairlead-harness') and query not like '%pg_is_in_recovery() as recovery%' and query <> ''");
await fill();
console.log("terminated", gone.length, "held", held.length, await world.cluster.sql("replica-1", "select application_name, count(*)::int from pg_stat_activity where backend_type='client backend' group by 1"));
const perSecond: Record<number, { ok: number; fail: Record<string, number> }> = {};
const start = performance.now();
const pend: Promise<void>[] = [];
while (performance.now() - start < 14000) {
  const s = Math.floor((performance.now() - start) / 1000);
  const slot = (perSecond[s] ??= { ok: 0, fail: {} });
  pend.push(router.read("select 1").then(() => { slot.ok++; }, (e: { code?: string }) => { const k = e.code ?? "?"; slot.fail[k] = (slot.fail[k] ?? 0) + 1; }));
  await new Promise((r) => setTimeout(r, 7));
}
await Promise.all(pend);
console.log(JSON.stringify(perSecond));
console.log(events.slice(-6), JSON.stringify(router.status().pools));
for (const c of held) await c.end();
await router.end();
