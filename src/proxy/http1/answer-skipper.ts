/**
 * Reads an answer that nobody waits for any more, and throws it away: what stands behind it on the same connection belongs
 * to somebody else, so its end must be found as strictly as if it were passed on. Pure.
 *
 *   head (interim ones too) -> body: none | sized | chunked -> done
 *
 * What has no end of its own (until close, a 101), is over `maxSkipped`, or can't be read in one way is a fault.
 */
import { ChunkedReader } from './chunked.ts';
import { chunkedBody, endsPlainly, hasBody, type ResponseHead, readResponseHead } from './response-head.ts';

/** Bytes of one answer; beyond them a new connection is cheaper. */
export const maxSkipped = 64 * 1024;

export class AnswerSkipper {
  done = false;
  /** Once done: whether the node keeps the connection, and what follows there can be told from this answer. */
  keepAlive = false;
  fault: string | null = null;
  readonly #method: string;
  #partial = '';
  #inHead = true;
  #left = 0;
  #reader: ChunkedReader | null = null;
  #skipped = 0;

  /** `head`: the final head if it was read already. */
  constructor(method: string, head: ResponseHead | null = null) {
    this.#method = method;
    if (head !== null) this.#begin(head);
  }

  /** Reads bytes [from, to); returns where the answer ends, or `to`. */
  read(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#inHead) at = this.#readHead(bytes, from, to);
    if (this.fault === null && !this.done && !this.#inHead) at = this.#readBody(bytes, at, to);
    this.#skipped += at - from;
    if (this.#skipped > maxSkipped) this.fault ??= `an answer of over ${maxSkipped} bytes that nobody waits for`;
    return at;
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    const text = this.#partial + bytes.toString('latin1', from, to);
    let start = 0;
    let search = Math.max(0, this.#partial.length - 3);
    for (;;) {
      const end = text.indexOf('\r\n\r\n', search) + 4;
      if (end < 4) {
        this.#partial = text.slice(start);
        return to;
      }
      const head = readResponseHead(text, start, end);
      if (typeof head === 'string') this.fault = head;
      else if (head.status === 101) this.fault = '101 that was not asked for';
      else if (head.status >= 200) this.#begin(head);
      if (!this.#inHead || this.fault !== null) return to - (text.length - end);
      start = end;
      search = end;
    }
  }

  #begin(head: ResponseHead): void {
    this.#inHead = false;
    this.#partial = '';
    this.keepAlive = head.keepAlive && endsPlainly(this.#method, head);
    if (!hasBody(this.#method, head.status) || head.bodyLength === 0) this.done = true;
    else if (head.bodyLength > 0) this.#left = head.bodyLength;
    else if (head.bodyLength === chunkedBody) this.#reader = new ChunkedReader('data');
    else this.fault = 'an answer without an end that nobody waits for';
  }

  #readBody(bytes: Buffer, from: number, to: number): number {
    if (this.#reader === null) {
      const stop = Math.min(to, from + this.#left);
      this.#left -= stop - from;
      this.done = this.#left === 0;
      return stop;
    }
    const stop = this.#reader.read(bytes, from, to);
    if (this.#reader.fault !== null) this.fault = `bad chunked coding: ${this.#reader.fault}`;
    this.done = this.#reader.done;
    return stop;
  }
}
