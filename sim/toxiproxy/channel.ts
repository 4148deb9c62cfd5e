/**
 * What stands between two stages of a link: a queue of chunks that knows when its producer should wait.
 * It behaves as a Go channel does: the producer waits while more than `capacity` chunks lie in it.
 */

/** Bytes on their way through a link, with the time they entered it. */
export interface Chunk {
  readonly kind: "chunk";
  readonly data: Buffer;
  /** When the bytes were read from the source, in the clock's milliseconds; a delay already served is added. */
  readonly atMs: number;
}

export class Channel {
  readonly #capacity: number;
  readonly #queue: Chunk[] = [];
  #closed = false;
  #isTaking = false;
  /** Called when a chunk or the end has come in: the consumer's cue. */
  onReadable: () => void = ignore;
  /** Called when the producer need no longer wait: the producer's cue. */
  onRoom: () => void = ignore;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Whether the producer may go on. A chunk pushed regardless is kept, never dropped. */
  get hasRoom(): boolean {
    return this.#queue.length <= this.#capacity;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  push(chunk: Chunk): void {
    if (this.#closed) return;
    this.#queue.push(chunk);
    this.#tellConsumer();
  }

  /** The next chunk. The consumer must ask again until there is none: it hears only of what comes after. */
  take(): Chunk | undefined {
    const hadRoom = this.hasRoom;
    const chunk = this.#queue.shift();
    if (!hadRoom && this.hasRoom) {
      // The producer may push at once. The consumer has yet to deal with this chunk, so it must not hear of the
      // next one before: it would overtake.
      this.#isTaking = true;
      this.onRoom();
      this.#isTaking = false;
    }
    return chunk;
  }

  /** Nothing more comes after what lies in the queue. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tellConsumer();
  }

  /** Lets go of everything, for a link that is no more. */
  discard(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.onReadable = ignore;
    this.onRoom = ignore;
  }

  #tellConsumer(): void {
    if (!this.#isTaking) this.onReadable();
  }
}

function ignore(): void {}
