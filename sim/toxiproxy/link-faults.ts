/** Faults of the network: what is done to a link's proxy, and what must be seen of it. */
import type { Direction, LinkName } from "../../chaos/faults/fault.ts";
import type { Estate } from "../nemesis/estate.ts";
import type { FaultProcedure, FaultTable } from "../nemesis/procedure.ts";
import { greet } from "../nemesis/greeting.ts";
import { knock } from "../nemesis/tcp.ts";
import { Watch } from "../nemesis/watch.ts";
import type { OwnConnection } from "../postgres/direct-connection.ts";
import { ApplicationLinkView } from "./application-link-view.ts";
import type { LinkView } from "./link-view.ts";
import type { Link, Links } from "./links.ts";
import { ReplicationLinkView } from "./replication-link-view.ts";

export interface LinkFaultsOptions {
  readonly estate: Estate;
  readonly links: Links;
  /** A fresh connection through a link, as superuser, within the deadline. */
  readonly connectThrough: (link: Link, timeoutMs: number) => Promise<OwnConnection>;
}

export function linkFaults(options: LinkFaultsOptions): FaultTable {
  const nextName = numberedNames();
  const broken = (name: LinkName): Broken => {
    const link = options.links.link(name);
    return { link, view: viewOf(options, link), estate: options.estate, toxicName: nextName() };
  };
  return {
    "link-down": (fault) => linkDown(broken(fault.link)),
    "link-black-hole": (fault) => linkBlackHole(broken(fault.link)),
    "link-reset": (fault) => linkReset(broken(fault.link)),
    "link-bandwidth": (fault) => linkBandwidth(broken(fault.link), fault.bytesPerSecond),
    "link-syn-black-hole": (fault) => linkSynBlackHole(broken(fault.link)),
    "link-latency": (fault) => linkLatency(broken(fault.link), fault),
  };
}

interface Broken {
  readonly link: Link;
  readonly view: LinkView;
  readonly estate: Estate;
  /** Its own: the same fault may be on the same link twice. */
  readonly toxicName: string;
}

function viewOf({ estate, connectThrough }: LinkFaultsOptions, link: Link): LinkView {
  const { user, node } = endsOf(link.name);
  return user === "replication"
    ? new ReplicationLinkView({ estate, replica: node })
    : new ApplicationLinkView({ estate, link, node, connectThrough });
}

function endsOf(name: LinkName): { readonly user: string; readonly node: string } {
  const colon = name.indexOf(":");
  return { user: name.slice(0, colon), node: name.slice(colon + 1) };
}

/** A link that lets nothing through can still be taken down; then there is no old connection to watch. */
const downPreparationMs = 1_000;

function linkDown({ link, view, estate }: Broken): FaultProcedure {
  const { clock } = estate;
  let isPrepared = false;
  return {
    async prepare(watch) {
      const soon = new Watch({ clock, timeoutMs: downPreparationMs, signal: watch.signal });
      await view.prepare(soon).then(
        () => (isPrepared = true),
        () => {},
      );
    },
    inject: () => link.disable(),
    async observeOn(watch) {
      await watch.until(async () => {
        const answer = await knock(clock, link.address);
        return answer === "refused" ? undefined : `a new connection is ${answer}`;
      });
      if (isPrepared) await view.seeCut(watch);
    },
    heal: () => link.enable(),
    async observeOff(watch) {
      const ends = await Promise.all(view.ends.map((end) => knock(clock, end)));
      if (ends.includes("refused")) {
        // Past a server that is down nothing can get, but the link takes connections again.
        await watch.until(async () => {
          const answer = await knock(clock, link.address);
          return answer === "accepted" ? undefined : `a new connection is ${answer}`;
        });
      } else await view.seeFlow(watch);
    },
    release: () => view.release(),
  };
}

const bothStreams = ["upstream", "downstream"] as const;

function linkBlackHole({ link, view, toxicName }: Broken): FaultProcedure {
  return {
    prepare: (watch) => view.prepare(watch),
    async inject() {
      for (const stream of bothStreams) {
        // A timeout of 0 drops everything and never closes.
        await link.addToxic({
          name: `${toxicName}-${stream}`,
          type: "timeout",
          stream,
          attributes: { timeout: 0 },
        });
      }
    },
    observeOn: (watch) => view.seeSilence(watch),
    heal: async () => {
      for (const stream of bothStreams) await link.removeToxic(`${toxicName}-${stream}`);
    },
    observeOff: (watch) => view.seeFlow(watch),
    release: () => view.release(),
  };
}

function linkReset({ link, view, estate, toxicName }: Broken): FaultProcedure {
  return {
    prepare: (watch) => view.prepare(watch),
    async inject() {
      for (const stream of bothStreams) {
        await link.addToxic({
          name: `${toxicName}-${stream}`,
          type: "reset_peer",
          stream,
          attributes: { timeout: 0 },
        });
      }
    },
    async observeOn(watch) {
      await view.seeCut(watch);
      await watch.until(async () => {
        const greeting = await greet(estate.clock, link.address, watch.leftMs);
        return greeting === "reset" ? undefined : `a new connection is ${greeting}`;
      });
    },
    heal: async () => {
      for (const stream of bothStreams) await link.removeToxic(`${toxicName}-${stream}`);
    },
    observeOff: (watch) => view.seeFlow(watch),
    release: () => view.release(),
  };
}

/** So long a transfer takes that tells a link that trickles. */
const transferMs = 400;

function linkBandwidth({ link, view, toxicName }: Broken, bytesPerSecond: number): FaultProcedure {
  const bytes = Math.ceil((bytesPerSecond * transferMs) / 1_000);
  const isSlow = async (watch: Watch): Promise<string | undefined> => {
    const tookMs = await view.measureTransfer(watch, bytes, transferMs);
    return tookMs >= seenShare * transferMs ? undefined : `${bytes} bytes took ${inWords(tookMs)}`;
  };
  return {
    prepare: (watch) => view.prepare(watch),
    async inject() {
      if (bytesPerSecond < 1_000 || bytesPerSecond % 1_000 !== 0) {
        throw new Error(`a link's bandwidth is a multiple of 1000 bytes a second, not ${bytesPerSecond}`);
      }
      for (const stream of bothStreams) {
        const attributes = { rate: bytesPerSecond / 1_000 };
        await link.addToxic({ name: `${toxicName}-${stream}`, type: "bandwidth", stream, attributes });
      }
    },
    observeOn: (watch) => watch.until(() => isSlow(watch)),
    heal: async () => {
      for (const stream of bothStreams) await link.removeToxic(`${toxicName}-${stream}`);
    },
    observeOff: (watch) =>
      watch.until(async () => ((await isSlow(watch)) === undefined ? "it still trickles" : undefined)),
    release: () => view.release(),
  };
}

/** Many times what a connection takes on the loopback. */
const connectMs = 150;

function linkSynBlackHole({ link, view, estate }: Broken): FaultProcedure {
  return {
    prepare: (watch) => view.prepare(watch),
    inject: () => link.hang(),
    async observeOn(watch) {
      await view.seeCut(watch);
      await watch.until(async () => {
        const greeting = await greet(estate.clock, link.address, connectMs);
        return greeting === "unconnected" ? undefined : `a new connection is ${greeting}`;
      });
    },
    heal: () => link.unhang(),
    observeOff: (watch) => view.seeFlow(watch),
    release: () => view.release(),
  };
}

/** How much of the latency must be seen; a proxy's timers may fire a little early. */
const seenShare = 0.8;

interface Latency {
  readonly latencyMs: number;
  readonly direction: Direction;
}

function linkLatency({ link, view, toxicName }: Broken, { latencyMs, direction }: Latency): FaultProcedure {
  const streams = direction === "both" ? bothStreams : [direction];
  // What a busy machine delays now and then is not taken for a short latency.
  const looks = Math.max(1, Math.min(3, Math.floor(500 / latencyMs)));
  const thresholdMs = (): number => view.usualDelayMs + seenShare * view.expectedDelay(direction, latencyMs);
  return {
    slowerByMs: 4 * latencyMs,
    prepare: (watch) => view.prepare(watch),
    async inject() {
      for (const stream of streams) {
        const attributes = { latency: latencyMs, jitter: 0 };
        await link.addToxic({ name: `${toxicName}-${stream}`, type: "latency", stream, attributes });
      }
    },
    observeOn: (watch) =>
      watch.until(async () => {
        let delayMs = Number.POSITIVE_INFINITY;
        for (let look = 0; look < looks && delayMs >= thresholdMs(); look++) {
          delayMs = Math.min(delayMs, await view.measureDelay(watch, direction));
        }
        return delayMs >= thresholdMs() ? undefined : `${inWords(delayMs)}, below ${inWords(thresholdMs())}`;
      }),
    heal: async () => {
      for (const stream of streams) await link.removeToxic(`${toxicName}-${stream}`);
    },
    observeOff: (watch) =>
      watch.until(async () => {
        const delayMs = await view.measureDelay(watch, direction);
        return delayMs < thresholdMs() ? undefined : `still ${inWords(delayMs)}`;
      }),
    release: () => view.release(),
  };
}

function inWords(delayMs: number): string {
  return `${delayMs.toFixed(1)} ms`;
}

function numberedNames(): () => string {
  let last = 0;
  return () => `fault-${++last}`;
}
