/**
 * A client and its upstream, joined by a link each way. The end of either side ends both: Toxiproxy knows no
 * half-open connection. A link closes its destination when its bytes are through; that ends the other link's
 * source, and so the other side, through whatever toxics lie there.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import type { ActiveToxic, Direction } from "./active-toxic.ts";
import { Link } from "./link.ts";

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly client: Socket;
  readonly upstream: Socket;
  /** Chance for this connection alone. */
  readonly random: Prng;
  readonly strict: boolean;
  readonly toxics: Readonly<Record<Direction, readonly ActiveToxic[]>>;
  /** Both sockets are closed. */
  readonly onClosed: (connection: Connection) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #links: Readonly<Record<Direction, Link>>;
  /** Whether closing means RST: everything not yet acknowledged is thrown away. */
  #closesByReset: boolean;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { client, upstream, strict, toxics } = options;
    this.#links = {
      upstream: this.#createLink("upstream", client, upstream),
      downstream: this.#createLink("downstream", upstream, client),
    };
    // Toxiproxy prepares the sockets for RST when a connection opens under a reset_peer, whatever its
    // toxicity, and never later. Otherwise the toxic itself decides, at the moment it cuts.
    this.#closesByReset =
      strict && [...toxics.upstream, ...toxics.downstream].some(({ type }) => type.resets === true);
  }

  start(): void {
    const { client, upstream } = this.#options;
    let open = 2;
    for (const socket of [client, upstream]) {
      // What goes wrong with a socket closes it, and "close" says so.
      socket.on("error", () => {});
      socket.on("close", () => {
        open -= 1;
        if (open === 0) this.#options.onClosed(this);
      });
    }
    this.#links.upstream.start();
    this.#links.downstream.start();
  }

  link(direction: Direction): Link {
    return this.#links[direction];
  }

  /** Closes both sides at once. What was not yet handed to the operating system is lost. */
  close(): void {
    const { client, upstream } = this.#options;
    for (const direction of ["upstream", "downstream"] as const) this.#links[direction].dispose();
    for (const socket of [client, upstream]) {
      if (this.#closesByReset) reset(socket);
      else socket.destroy();
    }
  }

  #createLink(direction: Direction, source: Socket, destination: Socket): Link {
    const { clock, random, strict, toxics } = this.#options;
    return new Link({
      clock,
      source,
      destination,
      strict,
      random: random.stream(direction),
      toxics: toxics[direction],
      onFinished: () => this.#closeAfterWrites(destination),
      onReset: () => {
        if (!strict) this.#closesByReset = true;
      },
      // Toxiproxy as a whole would die here. Only the connections that the toxic works on do.
      onCrash: () => this.close(),
    });
  }

  #closeAfterWrites(socket: Socket): void {
    if (!this.#closesByReset) socket.destroySoon();
    else if (socket.writableLength === 0 || socket.writableEnded) reset(socket);
    else socket.write("", () => reset(socket));
  }
}

/** RST, unless FIN is on its way already: libuv refuses to reset a stream that is shutting down. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
