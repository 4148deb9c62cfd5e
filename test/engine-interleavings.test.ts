/* oxlint-disable vitest/no-standalone-expect -- the rule does not know that `property.prop` makes a test block */
import { fc, test as property } from "@fast-check/vitest";
import { expect } from "vitest";
import { EngineRig } from "./fakes/engine-rig.ts";
import type { Outcome } from "./fakes/engine-rig.ts";
import { pgError } from "./fakes/fake-servers.ts";
import type { Answer } from "./fakes/fake-servers.ts";

const nodes = ["primary", "r1", "r2"] as const;
const node = fc.constantFrom(...nodes);

type Step =
  | { readonly kind: "read" | "write" | "lease"; readonly count: number }
  | { readonly kind: "kill" | "freeze" | "start" | "slow" | "promote" | "lag"; readonly node: string }
  | { readonly kind: "drain" | "undrain"; readonly node: "r1" | "r2" }
  | { readonly kind: "wait" | "block"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("read", "write", "lease"),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("kill", "freeze", "start", "slow", "promote", "lag"),
      node,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("drain", "undrain"), node: fc.constantFrom("r1", "r2") }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("wait"), ms: fc.integer({ min: 0, max: 900 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("block"), ms: fc.integer({ min: 1, max: 1500 }) }) },
);

/** How statements end, drawn: mostly well. */
const answers: readonly (Answer | undefined)[] = [
  undefined,
  undefined,
  undefined,
  undefined,
  "silence",
  "break",
  { error: pgError("40001") },
  { error: pgError("25006") },
  { error: pgError("57P01", { severity: "FATAL" }) },
  { error: pgError("22012") },
  { status: "T" },
];

property.prop(
  [fc.array(step, { minLength: 5, maxLength: 25 }), fc.array(fc.nat(), { minLength: 1, maxLength: 20 })],
  {
    numRuns: 150,
  },
)(
  "whatever breaks in whatever order: every call ends by its deadline, no write is sent twice, and every connection comes back once",
  async (steps, draws) => {
    const rig = await EngineRig.started({ queryTimeoutMs: 3000, slowStartMs: 500 });
    const written = new Map<string, number>();
    let drawn = 0;
    for (const server of rig.servers.values()) {
      server.answer = ({ text }) => {
        if (text.startsWith("insert")) written.set(text, (written.get(text) ?? 0) + 1);
        return answers[(draws[drawn++ % draws.length] as number) % answers.length];
      };
    }
    const calls: Promise<Outcome>[] = [];
    const leases: Promise<unknown>[] = [];
    let serial = 0;

    const act = async (one: Step): Promise<void> => {
      switch (one.kind) {
        case "read":
          for (let i = 0; i < one.count; i++) calls.push(rig.read("select 1"));
          break;
        case "write":
          for (let i = 0; i < one.count; i++) calls.push(rig.write(`insert ${serial++}`));
          break;
        case "lease":
          leases.push(leaseAndRelease(rig));
          break;
        case "kill":
          rig.server(one.node).kill();
          break;
        case "freeze":
          rig.server(one.node).freeze();
          break;
        case "start":
          rig.server(one.node).start();
          break;
        case "slow":
          rig.server(one.node).latencyMs = 80;
          break;
        case "promote":
          rig.server(one.node).promote();
          break;
        case "lag":
          rig.server(one.node).paused = true;
          break;
        case "drain":
          void rig.engine.drain(one.node);
          break;
        case "undrain":
          rig.engine.undrain(one.node);
          break;
        case "wait":
          await rig.clock.advance(one.ms);
          break;
        case "block":
          await rig.clock.block(one.ms);
          break;
      }
    };
    for (const one of steps) await act(one);

    const outcomes = await rig.finish(Promise.all(calls));
    for (const outcome of outcomes) expect(outcome.afterMs).toBeLessThanOrEqual(3000 + 1500);
    for (const times of written.values()) expect(times).toBe(1);
    await rig.finish(Promise.all(leases));
    await rig.finish(rig.engine.end());
    await rig.clock.advance(10_000);
    // A fake connection throws when it is given back twice.
    expect(rig.checkedOut).toBe(0);
    expect(rig.engine.traffic().map((traffic) => traffic.inFlight)).toEqual([0, 0, 0]);
    expect(rig.clock.pendingTimers).toBe(0);
    expect([...rig.servers.values()].flatMap((server) => [...server.connections])).toEqual([]);
  },
);

async function leaseAndRelease(rig: EngineRig): Promise<void> {
  try {
    const lease = await rig.engine.lease({ kind: "read", context: undefined });
    await new Promise<void>((resolve) => rig.clock.schedule(300, resolve));
    lease.release();
  } catch {
    // Nobody could give one.
  }
}
