/**
 * Buffers that bodies pass through, used again and again. Two kinds:
 *
 *   StreamBuffer   answers: an upstream socket reads into it, and a view of it is written to the client uncopied (1 MiB: 604
 *                  to 472 us of CPU)
 *   SpareBuffers   requests: a part of a body is read or copied into one, which is given back once all of it has passed
 *                  (uploads of 64 KiB: 57 to 38 us)
 *
 * If the client's socket did not take a view all at once, its buffer stays with that write until its callback, and the
 * upstream socket gets another one: read on too early, and a client would get bytes of the next read. The list of
 * StreamBuffers is bounded; when it is used up, readers fall back to the thread's shared buffer and copy what must outlive
 * the read.
 */
import { Buffer } from 'node:buffer';

declare global {
  // Node has it on every Buffer; its types only know the slower toString('latin1', start, end).
  // biome-ignore lint/suspicious/noRedeclare: this is how an interface is added to
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> extends Uint8Array<TArrayBuffer> {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset: number, length: number): number;
  }
}

export const bufferBytes = 64 * 1024;

/** Room before what is read, for the head that goes to the client in place of the node's. */
const headRoom = 2 * 1024;

/** Per thread: 32 MiB at most, outside the heap's limits, hence counted here. */
const maxBuffers = 512;
/** Kept for reuse; the rest goes back to the system. */
const maxIdleBuffers = 64;

export class StreamBuffer {
  /** What is read into. */
  readonly bytes: Buffer;
  readonly #all: Buffer;
  readonly #list: BufferList;
  #writes = 0;
  #read = true;

  constructor(list: BufferList) {
    this.#list = list;
    this.#all = Buffer.allocUnsafeSlow(headRoom + bufferBytes);
    this.bytes = this.#all.subarray(headRoom);
  }

  /**
   * The head (latin1), written over what stands before `from`, and the bytes up to `to`: one view. null: the head is too
   * long for its room.
   */
  withHead(head: string, from: number, to: number): Buffer | null {
    const at = headRoom + from - head.length;
    if (at < 0) return null;
    this.#all.latin1Write(head, at, head.length);
    return this.#all.subarray(at, headRoom + to);
  }

  /** Pass as the callback of each write of a view of this buffer, after beginWrite(). */
  readonly written = (): void => {
    this.#writes--;
    this.#release();
  };

  beginWrite(): void {
    this.#writes++;
  }

  reading(): void {
    this.#read = true;
  }

  /** The socket reads into another buffer from now on. */
  detach(): void {
    this.#read = false;
    this.#release();
  }

  #release(): void {
    if (this.#writes === 0 && !this.#read) this.#list.giveBack(this);
  }
}

/** Kept by SpareBuffers. */
const maxSpare = 32;

/**
 * Buffers for parts of requests' bodies, as large as a read can be. What has passed at once, as most does, is given back;
 * what is held by anybody is not, and goes to the garbage in its time. Without them each large read leaves up to 64 KiB
 * of garbage outside the heap, and V8 marks the whole heap every thousand reads.
 */
export class SpareBuffers {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
  }

  /** Nobody may hold a view of it. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < maxSpare) this.#spare.push(buffer);
  }
}

export class BufferList {
  readonly #idle: StreamBuffer[] = [];
  #count = 0;

  /** So many are taken that nobody should keep one for what may come. */
  get scarce(): boolean {
    return this.#count - this.#idle.length > maxBuffers / 2;
  }

  /** A buffer, or null if the bound is reached. */
  take(): StreamBuffer | null {
    const idle = this.#idle.pop();
    if (idle !== undefined) {
      idle.reading();
      return idle;
    }
    if (this.#count >= maxBuffers) return null;
    this.#count++;
    return new StreamBuffer(this);
  }

  giveBack(buffer: StreamBuffer): void {
    if (this.#idle.length < maxIdleBuffers) this.#idle.push(buffer);
    else this.#count--;
  }
}
