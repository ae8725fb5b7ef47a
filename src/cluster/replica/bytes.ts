/**
 * The alphabet of everything the replica writes: commands, results, snapshots.
 *
 *   number   LEB128, whole, 0 to 2^53 - 1, in its shortest form only
 *   text     number of bytes, then UTF-8, well formed
 *   bytes    number of bytes, then they
 *   option   one byte 0, or one byte 1 and the thing
 *
 * One value has exactly one form, so equal bytes mean equal values and the other way round. A reader never throws: the
 * first thing that can't be read marks it as failed, and from then on it gives zeros and empty texts. Ask `done()` at
 * the end.
 */
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Texts up to this length, nearly all of which are plain ASCII, are not worth a call of the encoder. */
const shortMax = 127;

/** Bytes of a text in UTF-8; a lone surrogate counts as the replacement character that it would be written as. */
export function textBytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    const pair = unit >= 0xd800 && unit < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
    bytes += unit < 0x800 ? 1 : 2;
    // Four bytes for two units: two were counted as units, two were added now.
    if (pair) i += 1;
  }
  return bytes;
}

export class ByteWriter {
  #buffer = new Uint8Array(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): this {
    this.#room(1);
    this.#buffer[this.#length++] = value;
    return this;
  }

  number(value: number): this {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
    return this;
  }

  text(value: string): this {
    const { length } = value;
    if (length > shortMax) return this.bytes(encoder.encode(value));
    this.number(length).#room(length);
    const start = this.#length;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit >= 0x80) {
        // A short text's length is one byte: it is taken back.
        this.#length = start - 1;
        return this.bytes(encoder.encode(value));
      }
      this.#buffer[start + i] = unit;
    }
    this.#length = start + length;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.number(value.byteLength);
    return this.raw(value);
  }

  /** Bytes without their length. */
  raw(value: Uint8Array): this {
    this.#room(value.byteLength);
    this.#buffer.set(value, this.#length);
    this.#length += value.byteLength;
    return this;
  }

  option<T>(value: T | null, write: (value: T) => void): this {
    this.byte(value === null ? 0 : 1);
    if (value !== null) write(value);
    return this;
  }

  list<T>(values: readonly T[], write: (value: T) => void): this {
    this.number(values.length);
    for (const value of values) write(value);
    return this;
  }

  /** What was written, as a copy; the writer is empty afterwards and can be used again. */
  take(): Uint8Array {
    const taken = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  /** What was written, until the next call of any method. */
  peek(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.byteLength) return;
    const larger = new Uint8Array(Math.max(this.#buffer.byteLength * 2, this.#length + bytes));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** `slice` of a Node Buffer is no copy: what is small would keep all alive that it came with. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Everything was read and nothing was wrong. */
  done(): boolean {
    return !this.#failed && this.#at === this.#bytes.byteLength;
  }

  /** What was read can't be. Returns the given stand-in, so that a decoder can go on to its end. */
  fail<T>(standIn: T): T {
    this.#failed = true;
    return standIn;
  }

  byte(): number {
    if (this.#failed || this.#at >= this.#bytes.byteLength) return this.fail(0);
    return this.#bytes[this.#at++]!;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        const longer = byte === 0 && i > 0;
        return this.#failed || longer || value > Number.MAX_SAFE_INTEGER ? this.fail(0) : value;
      }
      scale *= 0x80;
    }
    return this.fail(0);
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.#take();
    return copyOf(this.#bytes.subarray(this.#at - length, this.#at));
  }

  text(): string {
    const length = this.#take();
    const start = this.#at - length;
    if (length > shortMax) return this.#decode(start);
    let text = '';
    for (let i = start; i < this.#at; i++) {
      const byte = this.#bytes[i]!;
      if (byte >= 0x80) return this.#decode(start);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #decode(start: number): string {
    try {
      return decoder.decode(this.#bytes.subarray(start, this.#at));
    } catch {
      return this.fail('');
    }
  }

  /** Reads a length and passes over so many bytes; 0 if they are not there. */
  #take(): number {
    const length = this.number();
    if (this.#failed || length > this.#bytes.byteLength - this.#at) return this.fail(0);
    this.#at += length;
    return length;
  }

  flag(): boolean {
    const byte = this.byte();
    return byte <= 1 ? byte === 1 : this.fail(false);
  }

  option<T>(read: () => T): T | null {
    return this.flag() ? read() : null;
  }

  /** Each element takes at least one byte, so that no length can ask for more memory than was sent. */
  list<T>(read: () => T): T[] {
    const length = this.number();
    if (length > this.#bytes.byteLength - this.#at) return this.fail([]);
    const values: T[] = [];
    for (let i = 0; i < length && !this.#failed; i++) values.push(read());
    return values;
  }

  /** One of the words, written as its place among them. */
  oneOf<const W extends string>(words: readonly W[]): W {
    const place = this.byte();
    return words[place] ?? this.fail(words[0]!);
  }
}
