/**
 * Where in a client's bytes a request's head stands. A head that comes whole costs one search; one that comes in parts
 * is gathered in a HeadBuffer. One empty line before a request line is skipped (RFC 9112 2.2).
 */
import { type HeadLimits, type Refusal, RequestHead, readRequestHead } from '../http1/request-head.ts';
import { HeadBuffer } from './head-buffer.ts';

const endOfHead = '\r\n\r\n';

/** A head, and where in the bytes that were read its body, or the next request, begins. */
export interface HeadFound {
  readonly head: RequestHead | Refusal;
  readonly at: number;
}

export class HeadReader {
  #partial: HeadBuffer | null = null;
  /** The one empty line that may stand before a request has come. */
  #lineSkipped = false;

  /** Bytes of a head that is not whole. */
  get length(): number {
    return this.#partial?.length ?? 0;
  }

  /** A part of a head has come. */
  get begun(): boolean {
    return this.#partial !== null;
  }

  forget(): void {
    this.#partial = null;
  }

  /** The head that ends in these bytes; null: more is needed. After a refusal nothing more is read. */
  read(bytes: Buffer, limits: HeadLimits): HeadFound | null {
    if (this.#partial !== null) return this.#continue(this.#partial, bytes, limits);
    const from = !this.#lineSkipped && bytes.length >= 2 && bytes[0] === 0x0d && bytes[1] === 0x0a ? 2 : 0;
    if (from > 0) this.#lineSkipped = true;
    const text = bytes.latin1Slice(from, Math.min(bytes.length, from + limits.maxHead + endOfHead.length));
    const end = text.indexOf(endOfHead) + endOfHead.length;
    if (end >= endOfHead.length) return this.#whole(text, { end, at: from + end }, limits);
    if (from === bytes.length) return null;
    this.#partial = new HeadBuffer(limits, !this.#lineSkipped);
    return this.#continue(this.#partial, from === 0 ? bytes : bytes.subarray(from), limits);
  }

  /**
   * The head that these first `length` bytes are, and nothing else; nothing of the bytes is kept. null: they are to be
   * read with read(), into which they go unchanged.
   */
  whole(bytes: Buffer, length: number, limits: HeadLimits): RequestHead | Refusal | null {
    if (this.#partial !== null || length > limits.maxHead || bytes[0] === 0x0d) return null;
    const text = bytes.latin1Slice(0, length);
    const end = text.indexOf(endOfHead);
    if (end === -1 || end + endOfHead.length !== length) return null;
    const head = readRequestHead(text, { start: 0, end: length }, limits);
    if (head instanceof RequestHead) this.#lineSkipped = false;
    return head;
  }

  #continue(partial: HeadBuffer, bytes: Buffer, limits: HeadLimits): HeadFound | null {
    const progress = partial.add(bytes);
    switch (progress.at) {
      case 'more':
        return null;
      case 'refused':
        return { head: progress.refusal, at: bytes.length };
      case 'whole':
        return this.#whole(progress.text, { end: progress.text.length, at: progress.used }, limits);
    }
  }

  #whole(text: string, place: { readonly end: number; readonly at: number }, limits: HeadLimits): HeadFound {
    const head = readRequestHead(text, { start: 0, end: place.end }, limits);
    if (head instanceof RequestHead) {
      this.#partial = null;
      this.#lineSkipped = false;
    }
    return { head, at: place.at };
  }
}
