/**
 * A request's body on its way to the node: reads the client's framing, and keeps what was read as long as it may have to
 * be sent (again).
 *
 *   before the head is sent: everything read is kept, up to a bound, then the client is paused
 *   after it: passed on at once; kept besides only while the request may be repeated, up to retry.buffer
 */
import { ChunkedReader, type ChunkFault } from '../http1/chunked.ts';
import { chunked } from '../http1/request-head.ts';

/** Read ahead of a connection to the node. */
const maxAhead = 64 * 1024;
/** A kept piece costs hundreds of bytes beside its own: so many small ones in a row are made one. */
const smallBytes = 1024;
const maxSmall = 256;

/** Which trailer lines go on to the node; the empty line is not among them. */
export interface Trailers {
  passedTrailers(lines: string): string;
}

export class RequestBody {
  complete: boolean;
  /** Payload bytes read. */
  bytes = 0;
  /** What is kept, in order. */
  kept: Buffer[] = [];
  keptBytes = 0;
  fault: ChunkFault | null = null;
  /** All that was read is still kept. */
  whole = true;
  readonly #reader: ChunkedReader | null;
  readonly #trailers: Trailers;
  #left: number;
  #retain: number;
  /** Small pieces at the end of what is kept. */
  #small = 0;

  /** `length`: bytes, or `chunked`. `retain`: bytes kept after sending; 0 if the request is never repeated. */
  constructor(length: number, retain: number, trailers: Trailers) {
    this.#trailers = trailers;
    this.#reader = length === chunked ? new ChunkedReader('raw') : null;
    this.#left = Math.max(length, 0);
    this.#retain = retain;
    this.complete = length === 0;
  }

  /** The client is far enough ahead of the node. */
  get full(): boolean {
    return this.keptBytes >= maxAhead;
  }

  /**
   * Reads from `from` to the end of the buffer or of the body; returns where it stopped. What is to be passed on is
   * appended to `out` as views.
   */
  read(bytes: Buffer, from: number, out: Buffer[]): number {
    if (this.#reader === null) return this.#readSized(bytes, from, out);
    const reader = this.#reader;
    const to = reader.read(bytes, from, bytes.length);
    this.bytes = reader.bytes;
    this.fault = reader.fault;
    for (let i = 0; i < reader.rangeCount; i += 2) out.push(bytes.subarray(reader.ranges[i]!, reader.ranges[i + 1]!));
    this.complete = reader.done;
    if (reader.done && reader.trailers !== '') {
      out.push(Buffer.from(`${this.#trailers.passedTrailers(reader.trailers)}\r\n`, 'latin1'));
    }
    return to;
  }

  #readSized(bytes: Buffer, from: number, out: Buffer[]): number {
    const to = Math.min(bytes.length, from + this.#left);
    this.#left -= to - from;
    this.bytes += to - from;
    if (to > from) out.push(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
    this.complete = this.#left === 0;
    return to;
  }

  keep(views: readonly Buffer[], sent: boolean): void {
    if (!this.whole) return;
    for (const view of views) {
      this.kept.push(view);
      this.keptBytes += view.length;
      this.#small = view.length < smallBytes ? this.#small + 1 : 0;
      if (this.#small === maxSmall) {
        this.kept.push(Buffer.concat(this.kept.splice(-maxSmall)));
        this.#small = 0;
      }
    }
    if (sent && this.keptBytes > this.#retain) this.drop();
  }

  /** The kept bytes went out: they stay only if they may have to go out again. */
  sent(): void {
    if (this.keptBytes > this.#retain) this.drop();
  }

  drop(): void {
    if (this.keptBytes > 0) this.whole = false;
    this.#retain = 0;
    this.kept = [];
    this.keptBytes = 0;
    this.#small = 0;
  }
}
