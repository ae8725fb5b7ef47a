/**
 * Reads the chunked coding (RFC 9112 7.1) as it streams, and tells which bytes to pass on.
 *
 *   size -> [extension] -> LF -> data -> CR -> LF -> size -> ... 0 -> [trailer fields] -> CR LF
 *
 * Two ways to pass it on. `raw`: the coding itself, copied where it was found plain, with extensions and trailer fields
 * cut out. `data`: only the payload, for a peer that knows no chunks. Either way a pass yields ranges of the buffer that
 * it was given; nothing is copied here.
 * Anything that two readers could read differently is a fault: bare LF, white space or sign at a size, a size over 2^53,
 * a missing CRLF after the data.
 */
import { fieldLine, token } from './grammar.ts';

const size = 0;
const extension = 1;
const sizeLf = 2;
const data = 3;
const dataCr = 4;
const dataLf = 5;
const lineStart = 6;
const trailerLine = 7;
const trailerLf = 8;
const lastLf = 9;
const complete = 10;

/** Sum over all chunks of one message. (CVE-2024-22019, CVE-2023-39326: unbounded extensions are a way to burn CPU.) */
export const maxExtensionBytes = 4096;
export const maxTrailerBytes = 8192;

const extensionPattern = new RegExp(
  `^(?:;[ \\t]*${token}+(?:=(?:${token}+|"(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"))?)+$`,
);
const trailerPattern = new RegExp(`^(?:${fieldLine})*$`);

export type ChunkFault = 'bad-chunk' | 'bad-trailer';

export class ChunkedReader {
  readonly #raw: boolean;
  #state = size;
  #digits = 0;
  #left = 0;
  #extension = '';
  #extensionBytes = 0;
  /** Length of the trailer lines whose syntax has been checked. */
  #checked = 0;
  /** The trailer fields' lines, syntax checked once complete. */
  trailers = '';
  fault: ChunkFault | null = null;
  /** Payload bytes so far. */
  bytes = 0;
  /** Pairs [from, to) of the last read; the first `rangeCount` numbers are valid. */
  readonly ranges: number[] = [];
  rangeCount = 0;

  constructor(mode: 'raw' | 'data') {
    this.#raw = mode === 'raw';
  }

  get done(): boolean {
    return this.#state === complete;
  }

  /**
   * Reads from `from` until `to`, the end of the message, or a fault. Returns where it stopped. Afterwards `ranges` are the bytes to pass
   * on. In raw mode a message with trailer fields ends after its last chunk's line: the caller writes the
   * trailer and the empty line.
   */
  read(buffer: Uint8Array, from: number, to: number): number {
    this.rangeCount = 0;
    let at = from;
    while (at < to && this.#state !== complete) {
      if (this.#state === data) {
        const take = Math.min(this.#left, to - at);
        this.#emit(at, at + take);
        this.#left -= take;
        this.bytes += take;
        at += take;
        if (this.#left === 0) this.#state = dataCr;
      } else {
        const copied = this.#step(buffer[at]!);
        if (this.fault !== null) return at;
        if (copied && this.#raw) this.#emit(at, at + 1);
        at++;
      }
    }
    return at;
  }

  /** Adds to the ranges, joined with the last one where they touch. */
  #emit(from: number, to: number): void {
    if (this.rangeCount > 0 && this.ranges[this.rangeCount - 1] === from) {
      this.ranges[this.rangeCount - 1] = to;
      return;
    }
    this.ranges[this.rangeCount++] = from;
    this.ranges[this.rangeCount++] = to;
  }

  /** One byte of the coding that is not payload. True if it is part of what raw mode passes on. */
  #step(byte: number): boolean {
    switch (this.#state) {
      case size:
        return this.#stepSize(byte);
      case extension:
        return this.#stepExtension(byte);
      case sizeLf:
        if (byte !== 0x0a) return this.#fail('bad-chunk');
        this.#state = this.#left === 0 ? lineStart : data;
        return true;
      case dataCr:
        if (byte !== 0x0d) return this.#fail('bad-chunk');
        this.#state = dataLf;
        return true;
      case dataLf:
        if (byte !== 0x0a) return this.#fail('bad-chunk');
        this.#state = size;
        this.#digits = 0;
        return true;
      default:
        return this.#stepTrailer(byte);
    }
  }

  #stepSize(byte: number): boolean {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (this.#digits === 0) this.#left = 0;
      this.#left = this.#left * 16 + digit;
      if (++this.#digits > 16 || this.#left > Number.MAX_SAFE_INTEGER) return this.#fail('bad-chunk');
      return true;
    }
    if (this.#digits === 0) return this.#fail('bad-chunk');
    if (byte === 0x0d) this.#state = sizeLf;
    else if (byte === 0x3b) {
      this.#state = extension;
      this.#extension = '';
      return this.#stepExtension(byte);
    } else return this.#fail('bad-chunk');
    return true;
  }

  #stepExtension(byte: number): boolean {
    if (byte === 0x0d) {
      if (!extensionPattern.test(this.#extension)) return this.#fail('bad-chunk');
      this.#state = sizeLf;
      return true;
    }
    if (byte === 0x0a || ++this.#extensionBytes > maxExtensionBytes) return this.#fail('bad-chunk');
    this.#extension += String.fromCharCode(byte);
    return false;
  }

  #stepTrailer(byte: number): boolean {
    switch (this.#state) {
      case lineStart:
        if (byte === 0x0d) {
          this.#state = lastLf;
          return this.trailers === '';
        }
        this.#state = trailerLine;
        return this.#keepTrailer(byte);
      case trailerLine:
        if (byte === 0x0d) this.#state = trailerLf;
        return this.#keepTrailer(byte);
      case trailerLf:
        if (byte !== 0x0a) return this.#fail('bad-trailer');
        this.#state = lineStart;
        return this.#keepTrailer(byte);
      default: // lastLf
        if (byte !== 0x0a) return this.#fail('bad-trailer');
        this.#state = complete;
        return this.trailers === '';
    }
  }

  #keepTrailer(byte: number): boolean {
    this.trailers += String.fromCharCode(byte);
    if (this.trailers.length > maxTrailerBytes) return this.#fail('bad-trailer');
    if (byte !== 0x0a) return false;
    if (!trailerPattern.test(this.trailers.slice(this.#checked))) return this.#fail('bad-trailer');
    this.#checked = this.trailers.length;
    return false;
  }

  #fail(fault: ChunkFault): false {
    this.fault = fault;
    return false;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Field names that have no business in a trailer: framing, routing, authentication, and what proxies set. RFC 9110 6.5.1. */
const forbiddenTrailer =
  /^(?:content-|transfer-encoding|host|connection|keep-alive|te$|trailer|upgrade|authorization|proxy-|client-cert|cookie|set-cookie|expect|if-|range|cache-control|pragma|http2-settings|x-forwarded-|x-real-ip|forwarded|x-request-id|x-ha-|via|www-authenticate|max-forwards|location|retry-after|date|expires|vary|age)/;

/** What the config says of fields holds for trailers, too: an app server may put them to the head. */
export interface TrailerRules {
  /** Names with an underscore may pass. */
  readonly underscore: boolean;
  /** Lower-case names that the route sets or removes; null = none. */
  readonly drop: ReadonlySet<string> | null;
}

/** The trailer lines that may be passed on. */
export function allowedTrailers(lines: string, { underscore, drop }: TrailerRules): string {
  let kept = '';
  for (const line of lines.split('\r\n')) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    if (name === '' || drop?.has(name) === true || (!underscore && name.includes('_'))) continue;
    // An app server may read X_Forwarded_For as X-Forwarded-For.
    if (!forbiddenTrailer.test(name.replaceAll('_', '-'))) kept += `${line}\r\n`;
  }
  return kept;
}
