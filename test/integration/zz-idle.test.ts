import { test } from "vitest";
import { startEmbeddedCluster } from "/work/main/sim/embedded/cluster.ts";
import { observedRouter, prepare, pause } from "/work/main/test/integration/fixtures/routed.ts";
import { Monitor } from "/work/main/src/monitor/monitor.ts";
import { NodeProbe } from "/work/main/src/monitor/probe.ts";
test("idle", async () => {
  const c = await startEmbeddedCluster();
  await prepare(c);
  const log: string[] = []; const t0 = performance.now(); const L = (s: string) => log.push(`${(performance.now()-t0).toFixed(0)} ${s}`);
  const ask = NodeProbe.prototype.ask, nudge = NodeProbe.prototype.nudge;
  NodeProbe.prototype.ask = async function (ms: number) { const s = performance.now(); const a = await ask.call(this, ms); const x: any = a.sample; L(`probe ${x.role} ${(x.insert ?? x.replay)} flush ${x.flush} sent ${(s-t0).toFixed(0)}`); return a; };
  NodeProbe.prototype.nudge = async function () { L("nudge begins"); await nudge.call(this); L("nudge done"); };
  try {
    for (let round = 0; round < 12; round++) {
    log.length = 0;
    const o = await observedRouter(c);
    o.router.on("change", (e) => e.kind !== "epoch" && L("CHANGE " + JSON.stringify(e)));
    const conn = await c.connect("primary");
    
    await conn.query("begin"); await conn.query("insert into beats default values"); L("INSERTED");
    await pause(1600);
    await conn.query("rollback"); await conn.close();
    await o.router.end();
    console.log("ROUND", round, o.of("evicted").length); if (o.of("evicted").length > 0) console.log(log.slice(0,80).join("\n"));
    }
  } finally { await c[Symbol.asyncDispose](); }
}, 60000);
