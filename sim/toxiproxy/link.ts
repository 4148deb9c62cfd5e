/**
 * One direction of one connection: bytes from a source socket, through the toxics of that direction in the
 * order they were added, to a destination socket.
 *
 *     source ─► head ─► stub ─► channel ─► stub ─► tail ─► destination
 *
 * Without toxics there are no channels on the way: what is read is written at once. Toxics come and go on live
 * connections between two steps of one thread, so that no byte is lost or overtaken.
 */
import type { Socket } from "node:net";
import type { Clock } from "../../src/runtime/clock.ts";
import type { Prng } from "../../src/runtime/prng.ts";
import { valuesOf } from "./active-toxic.ts";
import type { ActiveToxic } from "./active-toxic.ts";
import { Channel } from "./channel.ts";
import { ToxicStub } from "./toxic-stub.ts";
import { passOn } from "./toxics/noop.ts";
import type { Pipe, PipeContext } from "./toxics/pipe.ts";

export interface LinkOptions {
  readonly clock: Clock;
  readonly source: Socket;
  readonly destination: Socket;
  /** Chance for this direction of this connection alone. */
  readonly random: Prng;
  /** As Toxiproxy does it: a change restarts the neighbours too, and each start draws anew. */
  readonly strict: boolean;
  readonly toxics: readonly ActiveToxic[];
  /** All bytes have been written, or none will be: the destination is to be closed. */
  readonly onFinished: () => void;
  /** A toxic demands that the connection be closed by RST. */
  readonly onReset: () => void;
  /** A toxic cannot go on. */
  readonly onCrash: (error: unknown) => void;
}

/** Bytes that travel as one chunk at most. */
const CHUNK_BYTES = 32 * 1024;

interface Stage {
  readonly toxic: ActiveToxic;
  readonly stub: ToxicStub;
  readonly context: PipeContext;
  /** Drawn once per connection and toxic when not strict: a number in [0, 1), to be below the toxicity. */
  readonly draw: number;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #source: Socket;
  readonly #destination: Socket;
  readonly #tail = new Channel(0);
  readonly #stages: Stage[] = [];
  #head: Channel = this.#tail;
  /** No toxic, and nothing left in the tail: what is read is written at once. */
  #isDirect = true;
  #isFinished = false;
  #receivedBytes = 0;
  #sentBytes = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#source = options.source;
    this.#destination = options.destination;
    this.#tail.onReadable = () => this.#write();
    for (const toxic of options.toxics) this.#append(toxic);
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Starts to move bytes. */
  start(): void {
    this.#source.on("data", (data: Buffer) => this.#read(data));
    this.#source.on("end", () => this.#head.close());
    this.#source.on("close", () => this.#head.close());
    this.#destination.on("drain", () => {
      this.#write();
      this.#resumeSource();
    });
    this.#destination.on("close", () => this.dispose());
    for (const stage of this.#stages) this.#run(stage);
    this.#source.resume();
  }

  add(toxic: ActiveToxic): void | Promise<void> {
    if (this.#isFinished || this.#tail.isClosed) return;
    const previous = this.#stages.at(-1);
    const interruption = this.#options.strict ? previous?.stub.interrupt() : undefined;
    if (interruption === "closed") return;
    if (interruption === "busy") return previous?.stub.whenEnded();
    this.#run(this.#append(toxic));
    if (interruption === "interrupted") this.#run(previous);
    this.#resumeSource();
  }

  update(toxic: ActiveToxic): void | Promise<void> {
    const stage = this.#stages.find((stage) => stage.toxic === toxic);
    const interruption = stage?.stub.interrupt();
    if (interruption === "interrupted") this.#run(stage);
    if (interruption === "busy") return stage?.stub.whenEnded();
  }

  /** Takes a toxic out; what it held goes on at once, in order. */
  remove(toxic: ActiveToxic): void | Promise<void> {
    const index = this.#stages.findIndex((stage) => stage.toxic === toxic);
    const stage = this.#stages[index];
    if (stage === undefined || this.#isFinished) return;
    const { stub } = stage;
    const interruption = stub.interrupt();
    if (interruption === "closed") return;
    if (interruption === "busy") return stub.whenEnded();
    if (toxic.type.closesOnRemoval === true) {
      stub.close();
      return;
    }
    const previous = this.#stages[index - 1];
    const isRestarted = this.#options.strict && previous?.stub.interrupt() === "interrupted";
    // Everything that waits before the toxic, and everything that this lets the stages before it send.
    for (let chunk = stub.input.take(); chunk !== undefined; chunk = stub.input.take()) {
      stub.output.push(chunk);
    }
    if (stub.input.isClosed) stub.output.close();
    this.#stages.splice(index, 1);
    this.#joinAt(index, stub.output);
    if (isRestarted) this.#run(previous);
    this.#write();
    this.#resumeSource();
  }

  /** Lets go of timers and data. Nothing is written any more. */
  dispose(): void {
    this.#isFinished = true;
    for (const { stub } of this.#stages) stub.dispose();
    this.#tail.discard();
    this.#source.pause();
  }

  #read(data: Buffer): void {
    this.#receivedBytes += data.length;
    if (this.#isDirect) {
      if (!this.#send(data)) this.#source.pause();
      return;
    }
    const atMs = this.#options.clock.now();
    for (let start = 0; start < data.length; start += CHUNK_BYTES) {
      this.#head.push({ kind: "chunk", data: data.subarray(start, start + CHUNK_BYTES), atMs });
    }
    if (!this.#head.hasRoom) this.#source.pause();
  }

  /** Moves what lies in the tail to the destination, as far as it takes it. */
  #write(): void {
    if (this.#isFinished) return;
    while (!this.#destination.writableNeedDrain) {
      const chunk = this.#tail.take();
      if (chunk === undefined) break;
      if (chunk.data.length > 0) this.#send(chunk.data);
    }
    if (!this.#tail.isEmpty) return;
    if (this.#tail.isClosed) {
      this.#isFinished = true;
      this.#options.onFinished();
    } else if (this.#stages.length === 0) {
      this.#isDirect = true;
      this.#resumeSource();
    }
  }

  #send(data: Buffer): boolean {
    this.#sentBytes += data.length;
    return this.#destination.write(data);
  }

  #resumeSource(): void {
    const mayRead = this.#isDirect ? !this.#destination.writableNeedDrain : this.#head.hasRoom;
    if (mayRead && !this.#isFinished && this.#source.isPaused()) this.#source.resume();
  }

  #append(toxic: ActiveToxic): Stage {
    const input = new Channel(toxic.type.capacity ?? 0);
    const random = this.#options.random.stream(toxic.name);
    const { clock } = this.#options;
    const stub = new ToxicStub({
      clock,
      input,
      output: this.#tail,
      onEnd: (ending) => {
        if (ending === "reset") this.#options.onReset();
      },
      onCrash: this.#options.onCrash,
    });
    const stage: Stage = {
      toxic,
      stub,
      context: { now: () => clock.now(), random: random.stream("pipe"), memory: { bytesSent: 0 } },
      draw: drawFraction(random.stream("toxicity")),
    };
    this.#isDirect = false;
    this.#stages.push(stage);
    this.#joinAt(this.#stages.length - 1, input);
    this.#joinAt(this.#stages.length, this.#tail);
    return stage;
  }

  /** Makes `channel` what lies before the stage at `index`, or before the destination after the last. */
  #joinAt(index: number, channel: Channel): void {
    const previous = this.#stages[index - 1];
    if (previous === undefined) {
      this.#head = channel;
      channel.onRoom = () => this.#resumeSource();
    } else {
      previous.stub.output = channel;
      channel.onRoom = () => previous.stub.onRoom();
      // It may be waiting for room in the channel it has just been taken off.
      if (channel.hasRoom) previous.stub.onRoom();
    }
  }

  #run(stage: Stage | undefined): void {
    if (stage !== undefined) stage.stub.run(this.#pipeFor(stage));
  }

  #pipeFor({ toxic, context, draw }: Stage): Pipe {
    const drawn = this.#options.strict ? drawFraction(context.random) : draw;
    return drawn < toxic.toxicity ? toxic.type.pipe(valuesOf(toxic), context) : passOn();
  }
}

/** A number in [0, 1), each multiple of 2⁻³² equally likely. */
function drawFraction(random: Prng): number {
  return random.nextUint32() / 2 ** 32;
}
