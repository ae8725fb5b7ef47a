/**
 * The character classes of RFC 9110 and 9112 that both parsers share, as sources of regular expressions.
 * All expressions built from them are linear: no two neighbouring repetitions can match the same byte.
 * Text is latin1: one character per byte.
 */

/** tchar, RFC 9110 5.6.2. */
export const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";

/** A field's value: HTAB, SP, VCHAR and obs-text; no control byte, no CR, no LF. RFC 9110 5.5. */
export const fieldValue = '[\\t\\x20-\\x7e\\x80-\\xff]';

/** One field line with its CRLF. No fold, no space before the colon, no empty name. RFC 9112 5. */
export const fieldLine = `${token}+:${fieldValue}*\\r\\n`;

/** A line end other than CR LF somewhere in the text; a CR at its very end is not judged. */
export const looseLineEnd = /(?:^|[^\r])\n|\r[^\n]/;

/** Where a WebSocket is asked for, or agreed on. */
export const upgradeFields = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';

const tokenOnly = new RegExp(`^${token}+$`);
export const isToken = (text: string): boolean => tokenOnly.test(text);

/** Digits only, no sign, no leading zero, below 2^53; -1 if it is anything else. Stricter than RFC 9110 8.6 on zeros. */
export function parseLength(value: string): number {
  const digits = value.length;
  if (digits === 0 || digits > 16 || (digits > 1 && value.charCodeAt(0) === 0x30)) return -1;
  let length = 0;
  for (let i = 0; i < digits; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

const usual = ['Host', 'Date', 'Connection', 'Content-Length', 'Transfer-Encoding'];
/** By length: names that matter here, as nearly all spell them, and in lower case. */
const usualNames = Array.from({ length: 18 }, (_, length) =>
  usual.filter((text) => text.length === length).map((text) => ({ text, name: text.toLowerCase() })),
);

/** The field line that is being looked at: one object for all of them, since one for each was a tenth of a request's garbage. */
export class FieldCursor {
  #raw = '';
  #at = 0;
  #colon = 0;
  #end = 0;

  /** The line from `at` to behind its CRLF at `end`. */
  set(raw: string, at: number, to: { readonly colon: number; readonly end: number }): this {
    this.#raw = raw;
    this.#at = at;
    this.#colon = to.colon;
    this.#end = to.end;
    return this;
  }

  /** In lower case. Of the usual ones, as they are usually spelled, no string is made (0.1 us each). */
  get name(): string {
    const length = this.#colon - this.#at;
    if (length < usualNames.length) {
      for (const { text, name } of usualNames[length]!) if (this.#raw.startsWith(text, this.#at)) return name;
    }
    return this.#raw.slice(this.#at, this.#colon).toLowerCase();
  }

  get value(): string {
    return trimField(this.#raw, this.#colon + 1, this.#end - 2);
  }

  /** All of it, CRLF included. */
  get text(): string {
    return this.#raw.slice(this.#at, this.#end);
  }
}

/** Without the optional white space (SP, HTAB) around it. String.trim would also take NBSP and friends. */
export function trimField(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;

/** The lower-case members of a comma-separated list of tokens (RFC 9110 5.6.1); empty members are skipped. */
export function listMembers(value: string): string[] {
  return value
    .split(',')
    .map((member) => trimField(member, 0, member.length).toLowerCase())
    .filter((member) => member !== '');
}

/** Value of the first field of a lower-case name in a block of field lines, or undefined. For rare look-ups only. */
export function findField(block: string, name: string): string | undefined {
  let at = 0;
  while (at < block.length) {
    const end = block.indexOf('\r\n', at);
    if (end <= at) return undefined;
    const colon = at + name.length;
    if (colon < end && block.charCodeAt(colon) === 0x3a && block.slice(at, colon).toLowerCase() === name) {
      return trimField(block, colon + 1, end);
    }
    at = end + 2;
  }
  return undefined;
}

/** The block without the lines whose lower-case name is in the set. */
export function dropFields(block: string, names: ReadonlySet<string>): string {
  let kept = '';
  let at = 0;
  while (at < block.length) {
    const end = block.indexOf('\r\n', at) + 2;
    if (end < 2) break;
    const name = block.slice(at, block.indexOf(':', at)).toLowerCase();
    if (!names.has(name)) kept += block.slice(at, end);
    at = end;
  }
  return kept;
}
