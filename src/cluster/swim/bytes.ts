/**
 * Bytes out and in. Numbers are varints of seven bits a byte, lowest first, in their shortest form only, so that
 * everything has exactly one encoding. The reader never throws: its first fault sticks, and all later reads give zero
 * values, so that a decoder looks once at its end.
 */
import type { MemberId } from '../../base/ids.ts';

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export class Writer {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written. */
  done(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Takes back what was written after `length`. */
  cut(length: number): void {
    this.#length = length;
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = value;
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  word(value: number): void {
    for (let shift = 24; shift >= 0; shift -= 8) this.byte((value >>> shift) & 255);
  }

  id(id: MemberId): void {
    for (let i = 0; i < 32; i += 2) this.byte(Number.parseInt(id.slice(i, i + 2), 16));
  }

  /** ASCII of at most 255 characters. */
  text(text: string): void {
    this.byte(text.length);
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i));
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #fault = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get failed(): boolean {
    return this.#fault;
  }

  /** Something was left, and nothing wrong so far. */
  get more(): boolean {
    return !this.#fault && this.#at < this.#bytes.length;
  }

  fail(): void {
    this.#fault = true;
  }

  byte(): number {
    const value = this.#bytes[this.#at];
    if (this.#fault || value === undefined) {
      this.#fault = true;
      return 0;
    }
    this.#at++;
    return value;
  }

  number(max: number): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i++) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        // A last byte of zero would be a longer form of a shorter number.
        if (value > max || (byte === 0 && i > 0)) this.fail();
        return this.#fault ? 0 : value;
      }
      scale *= 128;
    }
    this.fail();
    return 0;
  }

  word(): number {
    let value = 0;
    for (let i = 0; i < 4; i++) value = (value << 8) | this.byte();
    return value >>> 0;
  }

  id(): MemberId {
    let text = '';
    for (let i = 0; i < 16; i++) text += hex[this.byte()];
    return text as MemberId;
  }

  text(allowed: (text: string) => boolean): string {
    const length = this.byte();
    let text = '';
    for (let i = 0; i < length && !this.#fault; i++) text += String.fromCharCode(this.byte());
    if (!this.#fault && allowed(text)) return text;
    this.fail();
    return '';
  }

  /** One of the given values by its position. */
  oneOf<T>(values: readonly [T, ...T[]]): T {
    const value = values[this.byte()];
    if (value !== undefined) return value;
    this.fail();
    return values[0];
  }
}

/** Length of a number's encoding. */
export function numberBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
