import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import { describeContract } from "./contract-suite.ts";

describeContract({
  name: "the built-in server in strict mode",
  start: () => createToxiproxyServer({ strict: true, seed: 1 }),
});
