/**
 * The same contract, on servers as they are used: the built-in one in its own thread, and a real Toxiproxy 2.12.0
 * if `FAIRLEAD_TOXIPROXY_URL` names one on this machine. The proxies that it has are removed.
 */
import { startBuiltinToxiproxy } from "../../sim/toxiproxy/start.ts";
import { describeContract } from "../sim/toxiproxy/contract-suite.ts";
import { ToxiproxyApi } from "../sim/toxiproxy/toxiproxy-api.ts";

describeContract({
  name: "the built-in server in its own thread, in strict mode",
  start: () => startBuiltinToxiproxy({ strict: true, seed: 2 }),
});

const realUrl = process.env["FAIRLEAD_TOXIPROXY_URL"]?.replace(/\/$/, "");
const skipReason = "FAIRLEAD_TOXIPROXY_URL is not set, so there is no real Toxiproxy 2.12.0 to compare with";
if (realUrl === undefined) console.log(`skipped: ${skipReason}`);

describeContract({
  name: "a real server",
  skipReason: realUrl === undefined ? skipReason : undefined,
  start: async () => {
    const url = realUrl ?? "";
    await new ToxiproxyApi(url).removeAllProxies();
    return { url, close: () => Promise.resolve() };
  },
});
