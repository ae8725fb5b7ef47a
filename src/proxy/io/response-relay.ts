/**
 * One answer on its way from a node to the client: reads the node's framing strictly, writes the client's.
 *
 *   head (1xx passed on) -> body: none | sized | chunked, copied | chunked, unwrapped | until close, wrapped | until close, bare
 *
 * The head and what came of the body with it leave in ONE write (two cost 57 % more): of a latin1 string, or of a view if the
 * bytes stand in a StreamBuffer with room for the head before them. Larger bodies are written as views of it. When the client's socket is full, the node's is paused.
 */
import { allowedTrailers, ChunkedReader } from '../http1/chunked.ts';
import { dropFields, looseLineEnd } from '../http1/grammar.ts';
import { chunkedBody, hasBody, type ResponseHead, readResponseHead, untilClose } from '../http1/response-head.ts';
import type { Attempt } from './attempt.ts';
import type { StreamBuffer } from './buffers.ts';
import type { Exchange } from './exchange.ts';
import type { Upstream } from './upstream.ts';

const maxHead = 64 * 1024;
const tooLarge = `the head of the answer is over ${maxHead} bytes`;
/** More interim answers than this to one request are an attack or a bug. */
const maxInterim = 32;
/** From this size on a read is worth a buffer of its own; below it the bytes are copied as a string. */
const streamBytes = 16 * 1024;
/** From this size on the head is written before the body's bytes where they stand, and the whole is written as a view. */
const inPlaceBytes = 4 * 1024;
/** Heads are looked for in so much first: a string of all that was read costs more than what is done with it. */
const headSlice = 2 * 1024;

type Body = 'head' | 'none' | 'sized' | 'raw' | 'data' | 'wrap' | 'bare' | 'done';

/** Bytes behind a head. */
interface Range {
  readonly from: number;
  readonly to: number;
  /** The same as a string; null: it was not made. */
  readonly text: string | null;
}

export class ResponseRelay {
  readonly #attempt: Attempt;
  readonly #exchange: Exchange;
  readonly #upstream: Upstream;
  #body: Body = 'head';
  #partial = '';
  #interim = 0;
  #left = 0;
  #reader: ChunkedReader | null = null;
  #passTrailers = false;

  constructor(attempt: Attempt, upstream: Upstream) {
    this.#attempt = attempt;
    this.#exchange = attempt.exchange;
    this.#upstream = upstream;
  }

  /** A byte of an answer, interim ones included, has come. */
  get begun(): boolean {
    return this.#body !== 'head' || this.#partial !== '' || this.#interim > 0;
  }

  read(bytes: Buffer, from: number, to: number): void {
    if (this.#body === 'head') this.#readHead(bytes, from, to);
    else this.#readBody(bytes, from, to);
  }

  /** The node ended its side. True if that is how the answer ends. */
  end(): boolean {
    if (this.#body !== 'wrap' && this.#body !== 'bare') return false;
    if (this.#body === 'wrap') this.#exchange.write('0\r\n\r\n');
    this.#body = 'done';
    this.#attempt.answerDone(false);
    return true;
  }

  #readHead(bytes: Buffer, from: number, to: number): void {
    const attempt = this.#attempt;
    const before = this.#partial.length;
    let sliced = Math.min(to, from + headSlice);
    let text = this.#partial + bytes.latin1Slice(from, sliced);
    let search = Math.max(0, before - 3);
    let start = 0;
    for (;;) {
      const end = text.indexOf('\r\n\r\n', search) + 4;
      if (end < 4) {
        if (sliced === to) return this.#keepPartial(text, start);
        text += bytes.latin1Slice(sliced, to);
        sliced = to;
        continue;
      }
      const head = end - start > maxHead ? tooLarge : readResponseHead(text, start, end);
      if (typeof head === 'string') return attempt.answerRefused(head);
      // Where it ends in the bytes that were read.
      const at = from + end - before;
      // A part of a string costs less than another look at the bytes.
      if (head.status >= 200)
        return this.#final(head, bytes, { from: at, to, text: sliced === to ? text.slice(end) : null });
      if (head.status === 101) return attempt.switchProtocols(head, Buffer.from(bytes.subarray(at, to)));
      if (++this.#interim > maxInterim) return attempt.answerRefused(`more than ${maxInterim} interim answers`);
      attempt.interim(head);
      start = end;
      search = end;
      if (at === to) {
        this.#partial = '';
        return;
      }
    }
  }

  #keepPartial(text: string, start: number): void {
    const partial = start === 0 ? text : text.slice(start);
    const opening = 'HTTP/1.';
    const begins = partial.length < opening.length ? opening.startsWith(partial) : partial.startsWith(opening);
    if (!begins || looseLineEnd.test(partial.endsWith('\r') ? partial.slice(0, -1) : partial)) {
      this.#attempt.answerRefused('the answer is not HTTP/1.x');
    } else if (partial.length > maxHead) this.#attempt.answerRefused(tooLarge);
    else this.#partial = partial;
  }

  /** Writes the client's head and what came of the body with it. */
  #final(head: ResponseHead, bytes: Buffer, range: Range): void {
    const attempt = this.#attempt;
    const exchange = this.#exchange;
    if (!attempt.answerBegins(head)) return attempt.bodyUnread(range.to - range.from);
    this.#partial = '';
    const framing = this.#frame(head);
    const first = exchange.answerText(
      head,
      framing,
      this.#body === 'bare' || (this.#body === 'data' && exchange.head.minor === 0),
    );
    const stop = this.#firstBytes(first, bytes, range);
    if (exchange.settled || stop < 0) return;
    if (this.#isComplete()) this.#done(range.to - stop);
    else attempt.bodyFollows(this.#left > streamBytes || range.to - range.from > streamBytes);
  }

  /** Decides how the body is read and written; returns the framing field. RFC 9112 6.3. */
  #frame(head: ResponseHead): string {
    const modern = this.#exchange.head.minor === 1;
    if (!hasBody(this.#exchange.head.method, head.status)) {
      this.#body = 'none';
      if (head.status === 204) return '';
      if (head.bodyLength === chunkedBody) return modern ? 'Transfer-Encoding: chunked\r\n' : '';
      return head.givenLength < 0 ? '' : `Content-Length: ${head.givenLength}\r\n`;
    }
    if (head.bodyLength >= 0) {
      this.#body = 'sized';
      this.#left = head.bodyLength;
      return `Content-Length: ${head.bodyLength}\r\n`;
    }
    if (head.bodyLength === untilClose) this.#body = modern ? 'wrap' : 'bare';
    else {
      this.#body = modern ? 'raw' : 'data';
      this.#reader = new ChunkedReader(this.#body);
      this.#passTrailers = modern && this.#exchange.head.teTrailers;
    }
    if (!modern) return '';
    return this.#passTrailers && head.trailer !== ''
      ? `Transfer-Encoding: chunked\r\nTrailer: ${head.trailer}\r\n`
      : 'Transfer-Encoding: chunked\r\n';
  }

  /** The head and the first bytes of the body in one write. Returns where the answer's bytes end; -1 after a fault. */
  #firstBytes(text: string, bytes: Buffer, range: Range): number {
    const { from, to } = range;
    const exchange = this.#exchange;
    switch (this.#body) {
      case 'none':
        exchange.write(text);
        return from;
      case 'sized': {
        const stop = Math.min(to, from + this.#left);
        this.#left -= stop - from;
        if (this.#writeInPlace(text, bytes, { from, to: stop })) return stop;
        if (stop === from) exchange.write(text);
        else exchange.write(text + (range.text !== null && stop === to ? range.text : bytes.latin1Slice(from, stop)));
        // A small answer: the next one is likely small, too.
        if (this.#left === 0 && stop - from < inPlaceBytes) this.#upstream.useShared();
        return stop;
      }
      case 'wrap':
        exchange.write(to > from ? `${text}${(to - from).toString(16)}\r\n${bytes.latin1Slice(from, to)}\r\n` : text);
        return to;
      case 'bare':
        exchange.write(text + bytes.latin1Slice(from, to));
        return to;
      default:
        return this.#firstChunks(text, bytes, range);
    }
  }

  /**
   * One write of a view, nothing copied but the head: nothing of a 10 KiB answer becomes a string (-2.5 us).
   * False: the bytes are few, or stand in the shared buffer; the next answer on this connection is read into one of its own.
   */
  #writeInPlace(text: string, bytes: Buffer, range: { from: number; to: number }): boolean {
    if (range.to - range.from < inPlaceBytes) return false;
    const { stream } = this.#upstream;
    if (stream === null || stream.bytes !== bytes) {
      this.#upstream.useStream();
      return false;
    }
    const view = stream.withHead(text, range.from, range.to);
    if (view === null) return false;
    this.#exchange.answered = true;
    this.#writeStream(stream, view);
    return true;
  }

  #firstChunks(text: string, bytes: Buffer, range: { from: number; to: number }): number {
    const reader = this.#reader!;
    const stop = reader.read(bytes, range.from, range.to);
    let out = text;
    for (let i = 0; i < reader.rangeCount; i += 2) out += bytes.latin1Slice(reader.ranges[i]!, reader.ranges[i + 1]!);
    if (reader.done && this.#body === 'raw') out += this.#trailerText(reader);
    this.#exchange.write(out);
    if (reader.fault === null) return stop;
    this.#attempt.answerCut(`bad chunked coding: ${reader.fault}`);
    return -1;
  }

  /** What ends a chunked answer beyond what was copied: only a message with trailer fields needs it. */
  #trailerText(reader: ChunkedReader): string {
    if (reader.trailers === '') return '';
    if (!this.#passTrailers) return '\r\n';
    return `${allowedTrailers(reader.trailers, { underscore: true, drop: this.#exchange.route!.responseDrop })}\r\n`;
  }

  #readBody(bytes: Buffer, from: number, to: number): void {
    switch (this.#body) {
      case 'sized': {
        const stop = Math.min(to, from + this.#left);
        this.#left -= stop - from;
        this.#writeView(bytes, from, stop);
        if (this.#left === 0) this.#done(to - stop);
        break;
      }
      case 'raw':
      case 'data':
        this.#readChunks(bytes, from, to);
        break;
      case 'wrap':
        this.#writeWrapped(bytes, from, to);
        break;
      case 'bare':
        this.#writeView(bytes, from, to);
        break;
      default:
        this.#attempt.excess(to - from);
    }
  }

  #readChunks(bytes: Buffer, from: number, to: number): void {
    const reader = this.#reader!;
    const stop = reader.read(bytes, from, to);
    const ranges = reader.ranges;
    if (reader.rangeCount === 2) this.#writeView(bytes, ranges[0]!, ranges[1]!);
    else if (reader.rangeCount > 2) {
      // Many small chunks in data mode or with extensions: one string instead of many writes.
      let out = '';
      for (let i = 0; i < reader.rangeCount; i += 2) out += bytes.latin1Slice(ranges[i]!, ranges[i + 1]!);
      this.#exchange.write(out);
    }
    if (reader.fault !== null) return this.#attempt.answerCut(`bad chunked coding: ${reader.fault}`);
    if (!reader.done) return;
    const tail = this.#body === 'raw' ? this.#trailerText(reader) : '';
    if (tail !== '') this.#exchange.write(tail);
    this.#done(to - stop);
  }

  #writeWrapped(bytes: Buffer, from: number, to: number): void {
    const size = `${(to - from).toString(16)}\r\n`;
    if (to - from < streamBytes) {
      this.#exchange.write(`${size}${bytes.latin1Slice(from, to)}\r\n`);
      return;
    }
    const { socket } = this.#exchange.client;
    socket.cork();
    this.#exchange.write(size);
    this.#writeView(bytes, from, to);
    this.#exchange.write('\r\n');
    socket.uncork();
  }

  /** Passes bytes on, uncopied if they stand in a buffer that stays with the write. */
  #writeView(bytes: Buffer, from: number, to: number): void {
    if (to === from) return;
    const upstream = this.#upstream;
    const { stream } = upstream;
    const large = to - from >= streamBytes;
    if (stream === null || stream.bytes !== bytes) {
      if (large) this.#exchange.writeBytes(Buffer.from(bytes.subarray(from, to)));
      else this.#exchange.write(bytes.latin1Slice(from, to));
      if (large && this.#body !== 'done') upstream.useStream();
      return;
    }
    this.#writeStream(stream, bytes.subarray(from, to));
  }

  #writeStream(stream: StreamBuffer, view: Buffer): void {
    const upstream = this.#upstream;
    stream.beginWrite();
    this.#exchange.writeBytes(view, stream.written);
    // Not taken at once: the buffer stays with the write, the node's next bytes go into another.
    if (upstream.stream === stream && this.#exchange.client.socket.writableLength !== 0) {
      upstream.useShared();
      // Also while the node is not read, or the first read after that would be copied: over TLS, where no write is taken
      // at once, that was every other one, and garbage outside the heap (1 MiB answers over TLS: - 35 % CPU).
      if (!this.#attempt.blocked || !this.#exchange.context.buffers.scarce) upstream.useStream();
    }
  }

  #isComplete(): boolean {
    return this.#body === 'none' || (this.#body === 'sized' && this.#left === 0) || (this.#reader?.done ?? false);
  }

  /** `excess`: bytes behind the answer. */
  #done(excess: number): void {
    this.#body = 'done';
    if (excess > 0) this.#attempt.excess(excess);
    this.#attempt.answerDone(excess === 0);
  }
}

/** An interim answer as it goes to the client, with those of its fields that may. */
export function interimText(statusText: string, fields: string): string {
  return `HTTP/1.1 ${statusText}\r\n${dropFields(fields, interimDrop)}\r\n`;
}

const interimDrop: ReadonlySet<string> = new Set(['date']);
