/**
 * The beginning of a head that did not come whole. Grows by doubling up to the limit; each new piece is looked at once, from
 * three bytes before it, so a head that comes byte by byte costs no more than one that comes whole.
 */
import { refuseBytes, refuseRequestLine } from '../http1/explain.ts';
import { type HeadLimits, headTooLarge, type Refusal } from '../http1/request-head.ts';

const firstBytes = 1024;
const endOfHead = Buffer.from('\r\n\r\n', 'latin1');
const endOfLine = Buffer.from('\r\n', 'latin1');

export type HeadProgress =
  | { readonly at: 'more' }
  | { readonly at: 'refused'; readonly refusal: Refusal }
  /** The head's text, and the number of bytes of the last piece that belong to it. */
  | { readonly at: 'whole'; readonly text: string; readonly used: number };

const more: HeadProgress = { at: 'more' };

export class HeadBuffer {
  readonly #limits: HeadLimits;
  #bytes = Buffer.allocUnsafe(firstBytes);
  #length = 0;
  #lineRead = false;
  #emptyLine: boolean;

  /** `emptyLine`: one empty line before the request line may still be skipped. */
  constructor(limits: HeadLimits, emptyLine: boolean) {
    this.#limits = limits;
    this.#emptyLine = emptyLine;
  }

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): HeadProgress {
    const before = this.#length;
    const room = this.#limits.maxHead + endOfHead.length - before;
    this.#append(piece.length > room ? piece.subarray(0, room) : piece);
    const skipped = this.#skipEmptyLine();
    const old = Math.max(0, before - skipped);
    const end = this.#view().indexOf(endOfHead, Math.max(0, old - 3));
    if (end !== -1) {
      const text = this.#bytes.latin1Slice(0, end + endOfHead.length);
      return { at: 'whole', text, used: text.length + skipped - before };
    }
    const refusal = this.#refuse(old);
    return refusal === null ? more : { at: 'refused', refusal };
  }

  #append(piece: Buffer): void {
    const needed = this.#length + piece.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    piece.copy(this.#bytes, this.#length);
    this.#length = needed;
  }

  #view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Number of bytes cut off the front: 2 once, else 0. */
  #skipEmptyLine(): number {
    if (!this.#emptyLine || this.#length < 2) return 0;
    this.#emptyLine = false;
    if (this.#bytes[0] !== 0x0d || this.#bytes[1] !== 0x0a) return 0;
    this.#bytes.copy(this.#bytes, 0, 2, this.#length);
    this.#length -= 2;
    return 2;
  }

  /** `old`: how many of the bytes had been looked at before. What is over the limit has no say in the verdict. */
  #refuse(old: number): Refusal | null {
    const { maxHead } = this.#limits;
    const seen = this.#bytes.subarray(0, Math.min(this.#length, maxHead));
    // A CR that was the last byte is judged with what follows it.
    let from = old > 0 && seen[old - 1] === 0x0d ? old - 1 : old;
    const line = this.#lineRead ? -1 : seen.indexOf(endOfLine, Math.max(0, old - 1));
    if (line !== -1) {
      this.#lineRead = true;
      from = line + endOfLine.length;
      const refusal = refuseRequestLine(seen.latin1Slice(0, from), this.#limits);
      if (refusal !== null) return refusal;
    }
    const refusal = from < seen.length ? refuseBytes(seen.latin1Slice(from, seen.length)) : null;
    if (refusal !== null) return refusal;
    return this.#length <= maxHead ? null : headTooLarge(seen.latin1Slice(0, seen.length), this.#limits);
  }
}
