import { createToxiproxyServer } from "../../../sim/toxiproxy/server.ts";
import { describeContract } from "./contract-suite.ts";

describeContract("the built-in server in strict mode", () => createToxiproxyServer({ strict: true, seed: 1 }));
