/** The primary comes back: nobody is late because it was away, and whoever really is late is found out soon. */
import { describe, expect, test } from "vitest";
import { Timeline } from "./view-builder.ts";

/** Probes every 500 ms with a timeout of 500 ms; the threshold is 10 s. */
const AWAY_PROBES = 60;

/** Where the primary stands when it is back. */
const NEW = 1_200_000;

function replicasAt(timeline: Timeline, replay: number): Timeline {
  return timeline.replica("r1", replay).replica("r2", replay).replica("r3", replay);
}

/** Up to date all the time, with the primary away for 30 s; then it answers from where it has written on. */
function whileAway(): Timeline {
  const timeline = new Timeline({ replicas: { r1: 1, r2: 1, r3: 1 } }).allAt(1_000_000).rounds(2);
  timeline.fails("primary").fails("primary");
  for (let i = 0; i < AWAY_PROBES; i++) replicasAt(timeline.after(500).fails("primary"), 1_100_000 + i);
  return timeline;
}

describe("when the primary answers again after it was away for longer than the threshold", () => {
  test("its first answer evicts nobody, although no replica has been seen at that position yet", () => {
    const timeline = whileAway().after(100).primary(NEW);
    expect(timeline.serving()).toEqual(["r1", "r2", "r3"]);
    expect(timeline.changes.filter(({ kind }) => kind === "evicted")).toEqual([]);
  });

  test("replicas that are seen there within an interval and a timeout keep their reads", () => {
    const timeline = whileAway().after(100).primary(NEW);
    replicasAt(timeline.after(400), NEW);
    for (let i = 1; i < 20; i++) timeline.after(500).allAt(NEW + i);
    expect(timeline.serving()).toEqual(["r1", "r2", "r3"]);
    expect(timeline.changes.filter(({ kind }) => kind === "evicted")).toEqual([]);
  });

  test("one that is not seen there by then is as late as its data, all of the time counted", () => {
    const timeline = whileAway().after(100).primary(NEW).after(400).replica("r1", NEW).replica("r2", NEW);
    timeline.replica("r3", 1_100_060);
    expect(timeline.standing("r3")).toBe("eligible");
    timeline.after(599).tick();
    expect(timeline.standing("r3")).toBe("eligible");
    timeline.after(2).tick();
    expect(timeline.standing("r3")).toBe("evicted lagging");
    expect(timeline.serving()).toEqual(["r1", "r2"]);
  });

  test("the view names the time at which that is due", () => {
    const timeline = whileAway().after(100).primary(NEW);
    expect(timeline.view.nextChangeAt).toBe(timeline.now + 1001);
  });
});
