import { describe, expect, test } from "vitest";
import { failedOutcome } from "../../../chaos/workload/outcome.ts";
import { DeadlineError } from "../../../src/runtime/clock.ts";
import { RouterError } from "../../../src/errors.ts";

const server = (severity: string, code: string): Error =>
  Object.assign(new Error("said so"), { severity, code });
const system = (code: string): Error => Object.assign(new Error(code), { code });

describe("a write that failed", () => {
  test.each([
    ["an ERROR of the server, which rolled back", server("ERROR", "23505")],
    ["a read-only transaction", server("ERROR", "25006")],
    ["a server that does not take connections yet", server("FATAL", "57P03")],
    ["a wrong password", server("FATAL", "28P01")],
    ["no slot for another connection", server("FATAL", "53300")],
    ["a refused connection", system("ECONNREFUSED")],
    ["a pool that was full", new Error("timeout exceeded when trying to connect")],
    ["a router without a primary", new RouterError("NO_PRIMARY", "gone")],
    ["a router's full pool", new RouterError("POOL_EXHAUSTED", "full")],
  ])("did not happen: %s", (_, error) => {
    expect(failedOutcome("write", error).type).toBe("fail");
  });

  test.each([
    ["the router says so itself", new RouterError("UNKNOWN_OUTCOME", "lost")],
    ["its total deadline passed", new RouterError("DEADLINE_EXCEEDED", "late")],
    ["the node went away", new RouterError("NODE_LOST", "lost")],
    ["an administrator ended the session", server("FATAL", "57P01")],
    ["the connection was reset", system("ECONNRESET")],
    ["pg lost the connection", new Error("Connection terminated unexpectedly")],
    ["the session gave up", new DeadlineError("the write", 100)],
    ["nobody knows this error", new Error("surprise")],
    ["it is no error at all", "surprise"],
  ])("is in doubt: %s", (_, error) => {
    expect(failedOutcome("write", error).type).toBe("info");
  });

  test("is known by name and code, whichever copy of the package threw", () => {
    const foreign = Object.assign(new Error("gone"), { name: "RouterError", code: "NO_PRIMARY" });
    expect(failedOutcome("write", foreign)).toEqual({
      type: "fail",
      error: { code: "NO_PRIMARY", message: "gone" },
    });
  });
});

test("a read that failed is never in doubt: it has no effect", () => {
  expect(failedOutcome("read", system("ECONNRESET"))).toEqual({
    type: "fail",
    error: { code: "ECONNRESET", message: "ECONNRESET" },
  });
  expect(failedOutcome("transaction", new RouterError("NODE_LOST", "lost")).type).toBe("fail");
});

test("the heartbeat counts as a write", () => {
  expect(failedOutcome("heartbeat", system("EPIPE")).type).toBe("info");
});
