import { describe, expect, test } from "vitest";
import type { Fault } from "../../../chaos/faults/fault.ts";
import { FaultNotObserved } from "../../../chaos/world.ts";
import { sleep, systemClock } from "../../../src/runtime/clock.ts";
import { type NemesisOptions, ObservedNemesis } from "../../../sim/nemesis/nemesis.ts";
import type { FaultProcedure } from "../../../sim/nemesis/procedure.ts";

const down: Fault = { kind: "link-down", link: "app:replica-1" };

/** A nemesis that can do one kind of fault, on a lamp: `isOn` is the truth, the steps are what happened to it. */
function lampNemesis(changes: Partial<FaultProcedure> = {}, options: Partial<NemesisOptions> = {}) {
  const lamp = { isOn: false, steps: [] as string[] };
  const step = (name: string, isOn?: boolean) => async () => {
    lamp.steps.push(name);
    if (isOn !== undefined) lamp.isOn = isOn;
  };
  const procedure: FaultProcedure = {
    prepare: step("prepare"),
    inject: step("inject", true),
    observeOn: (watch) => watch.until(async () => (lamp.isOn ? undefined : "it is dark")),
    heal: step("heal", false),
    observeOff: (watch) => watch.until(async () => (lamp.isOn ? "it is bright" : undefined)),
    release: step("release"),
    ...changes,
  };
  const nemesis = new ObservedNemesis({
    clock: systemClock,
    table: { "link-down": () => procedure },
    onWithinMs: 60,
    offWithinMs: 60,
    ...options,
  });
  return { nemesis, lamp };
}

describe("an injection", () => {
  test("ends once the effect has been seen, not before", async () => {
    let looks = 0;
    const { nemesis } = lampNemesis({
      observeOn: (watch) => watch.until(async () => (++looks < 4 ? "not yet" : undefined)),
    });
    await nemesis.inject(down);
    expect(looks).toBe(4);
  });

  test("tries an observation again that failed", async () => {
    let attempts = 0;
    const { nemesis } = lampNemesis({
      observeOn: async () => {
        if (++attempts < 3) throw new Error("connection refused");
      },
    });
    await nemesis.inject(down);
    expect(attempts).toBe(3);
  });

  test("whose effect nobody sees is undone, and told with what was seen instead", async () => {
    const { nemesis, lamp } = lampNemesis({
      observeOn: (watch) => watch.until(async () => "a connection is accepted"),
    });
    const error = await nemesis.inject(down).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FaultNotObserved);
    expect(error).toMatchObject({ phase: "inject", fault: down });
    expect(String(error)).toContain(
      "inject of link-down was not observed: app:replica-1: a connection is accepted",
    );
    expect(lamp).toEqual({ isOn: false, steps: ["prepare", "inject", "release", "heal"] });
  });

  test("of which a look hangs is given up at the deadline", async () => {
    const { nemesis, lamp } = lampNemesis({ observeOn: () => new Promise(() => {}) });
    await expect(nemesis.inject(down)).rejects.toBeInstanceOf(FaultNotObserved);
    expect(lamp.isOn).toBe(false);
  });

  test("that fails half-way is undone", async () => {
    const { nemesis, lamp } = lampNemesis({
      inject: async () => {
        lamp.isOn = true;
        throw new Error("out of toxics");
      },
    });
    await expect(nemesis.inject(down)).rejects.toThrow(/out of toxics/);
    expect(lamp.isOn).toBe(false);
  });

  test("that cannot be prepared breaks nothing and undoes nothing", async () => {
    const { nemesis, lamp } = lampNemesis({
      prepare: async () => {
        throw new Error("no way through");
      },
    });
    await expect(nemesis.inject(down)).rejects.toThrow(/no way through/);
    expect(lamp.steps).toEqual(["release"]);
  });

  test("that could not be undone says both, and healAll tries again", async () => {
    let isStuck = true;
    const { nemesis, lamp } = lampNemesis({
      observeOn: (watch) => watch.until(async () => "nothing"),
      heal: async () => {
        if (isStuck) throw new Error("stuck");
        lamp.isOn = false;
      },
    });
    await expect(nemesis.inject(down)).rejects.toThrow(/nothing; and it is still on: heal of .*stuck/);
    await expect(nemesis.healAll()).rejects.toThrow(/stuck/);
    isStuck = false;
    await nemesis.healAll();
    expect(lamp.isOn).toBe(false);
  });

  test("of a kind that the world lacks names those it has", async () => {
    const { nemesis } = lampNemesis();
    const fault: Fault = { kind: "checkpointed", node: "primary" };
    await expect(nemesis.inject(fault)).rejects.toThrow(/no checkpointed: it can do link-down/);
  });

  test("is not begun when its signal has aborted already", async () => {
    const { nemesis, lamp } = lampNemesis();
    await expect(nemesis.inject(down, AbortSignal.abort(new Error("over")))).rejects.toThrow("over");
    expect(lamp.steps).toEqual([]);
  });
});

describe("a heal", () => {
  test("ends once the effect has been seen gone, and does nothing more the second time", async () => {
    const { nemesis, lamp } = lampNemesis();
    const fault = await nemesis.inject(down);
    await Promise.all([fault.heal(), fault.heal()]);
    await fault.heal();
    expect(lamp.steps.filter((step) => step === "heal")).toHaveLength(1);
  });

  test("that nobody sees is told, and stays to be healed", async () => {
    let isHidden = true;
    const { nemesis } = lampNemesis({
      observeOff: (watch) => watch.until(async () => (isHidden ? "no answer" : undefined)),
    });
    const fault = await nemesis.inject(down);
    await expect(fault.heal()).rejects.toMatchObject({ name: "FaultNotObserved", phase: "heal" });
    isHidden = false;
    await expect(fault.heal()).resolves.toBeUndefined();
  });

  test("comes with the end of the block", async () => {
    const { nemesis, lamp } = lampNemesis();
    {
      await using _fault = await nemesis.inject(down);
      expect(lamp.isOn).toBe(true);
    }
    expect(lamp.isOn).toBe(false);
  });

  test("waits for an injection that is under way, so that nothing is broken after it", async () => {
    const { nemesis, lamp } = lampNemesis({
      inject: async () => {
        await sleep(systemClock, 30);
        lamp.isOn = true;
      },
    });
    const injecting = nemesis.inject(down).catch((error: unknown) => error);
    await sleep(systemClock, 5);
    await nemesis.healAll();
    expect(lamp.isOn).toBe(false);
    expect(String(await injecting)).toContain("given up");
  });
});

describe("errors of the tools", () => {
  class ToolGone extends Error {}
  const isFatal = (error: unknown): boolean => error instanceof ToolGone;

  test("are told as they are, at once", async () => {
    const gone = new ToolGone("gone");
    let attempts = 0;
    const observeOn = async () => {
      attempts++;
      throw gone;
    };
    const { nemesis } = lampNemesis({ observeOn }, { isFatal });
    await expect(nemesis.inject(down)).rejects.toBe(gone);
    expect(attempts).toBe(1);
  });

  test("explain what was not seen", async () => {
    const gone = new ToolGone("gone");
    const { nemesis } = lampNemesis(
      { observeOn: (watch) => watch.until(async () => "no answer") },
      { isFatal, diagnose: async () => gone },
    );
    await expect(nemesis.inject(down)).rejects.toBe(gone);
  });
});

test("the end of a world ends heals and injections, and undoes nothing", async () => {
  const { nemesis, lamp } = lampNemesis({ observeOff: () => new Promise(() => {}) }, { offWithinMs: 60_000 });
  const fault = await nemesis.inject(down);
  const healing = fault.heal().catch((error: unknown) => error);
  await sleep(systemClock, 20);
  await nemesis[Symbol.asyncDispose]();
  expect(String(await healing)).toContain("the world ended");
  expect(lamp.steps).toEqual(["prepare", "inject", "release", "heal"]);
});
