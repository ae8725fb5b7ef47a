/**
 * One line of the access log per exchange, in one of two formats:
 *
 *   json      {"time":"2026-01-02T03:04:05.678Z","id":"...","client":"10.1.2.3","method":"GET",...}   SEMANTICS of the
 *             fields: docs/OBSERVE.md. Always valid JSON, always one line, always plain ASCII.
 *   combined  10.1.2.3 - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 5 "referer" "agent"      as nginx writes it:
 *             the size is that of the body alone.
 *
 * Client text is hostile and arrives as latin1, one character per byte. Whatever is not printable ASCII, and quote and
 * backslash, is escaped: \uHHHH in json, \xHH in combined. So no request can forge a line, break one, or reach the
 * terminal of whoever reads it. JSON.parse of a line gives the same characters back.
 *
 * This runs on the hot path of a data thread: text that needs no escape costs one regular expression, the time stamp is
 * made once a second, numbers with decimals come from a table (bench/micro/access-log.ts).
 */
import type { Millis } from '../base/ids.ts';
import type { Outcome } from '../proxy/outcome.ts';

export type AccessFormat = 'json' | 'combined';

/** A formatter with its own cached time stamp; each returned line ends in \n. Never throws. */
export function createAccessFormatter(format: AccessFormat): (outcome: Outcome) => string {
  return format === 'json' ? jsonFormatter() : combinedFormatter();
}

const plainJson = /^[ !#-[\]-~]*$/;
const notPlainJson = /[^ !#-[\]-~]/g;

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/** The inside of a JSON string. Works on UTF-16 units, so that even half a surrogate pair comes back as it was. */
const jsonText = (text: string): string =>
  plainJson.test(text)
    ? text
    : text.replace(notPlainJson, (char) =>
        char === '"' ? '\\"' : char === '\\' ? '\\\\' : `\\u${hex(char.charCodeAt(0), 4)}`,
      );

/** `.000` to `.999`. */
const thousandths = Array.from({ length: 1000 }, (_, i) => `.${String(i).padStart(3, '0')}`);

/** Milliseconds with three decimals, as JSON; `null` for -1 (did not happen) and for what is no number. */
function jsonMillis(ms: Millis): string {
  if (!(ms >= 0)) return 'null';
  if (ms > 2_000_000) return String(Math.min(Math.round(ms), Number.MAX_SAFE_INTEGER));
  const us = (ms * 1000 + 0.5) | 0;
  const whole = (us / 1000) | 0;
  return whole + thousandths[us - whole * 1000]!;
}

const wholeNumber = (value: number): number => (Number.isSafeInteger(value) ? value : 0);

/** Calls `make` once per second of wall time; what it returned is kept for the others. */
function perSecond(make: (second: Date) => string): (wall: Millis) => string {
  let second = Number.NaN;
  let text = '';
  return (wall) => {
    const now = Math.floor(wall / 1000);
    if (now !== second) {
      second = now;
      const date = new Date(now * 1000);
      text = make(Number.isNaN(date.getTime()) ? new Date(0) : date);
    }
    return text;
  };
}

/** Only writes to a primary have one. */
const epochField = (epoch: number): string => (epoch === 0 ? '' : `,"epoch":${wholeNumber(epoch)}`);

function jsonFormatter(): (outcome: Outcome) => string {
  const seconds = perSecond((date) => date.toISOString().slice(0, -'.000Z'.length));
  return (o) =>
    `{"time":"${seconds(o.startedAt)}${thousandths[(o.startedAt % 1000) | 0] ?? '.000'}Z","id":"${jsonText(o.id)}","client":"${jsonText(o.client)}` +
    `","method":"${jsonText(o.method)}","host":"${jsonText(o.host)}","path":"${jsonText(o.target)}` +
    `","proto":"${jsonText(o.protocol)}","status":${wholeNumber(o.status)},"bytes_in":${wholeNumber(o.bytesIn)}` +
    `,"bytes_out":${wholeNumber(o.bytesOut)},"dur_ms":${jsonMillis(o.durationMs)},"node":"${jsonText(o.node)}` +
    `","connect_ms":${jsonMillis(o.connectMs)},"ttfb_ms":${jsonMillis(o.ttfbMs)},"tries":${wholeNumber(o.tries)}` +
    `,"route":"${jsonText(o.route)}","pool":"${jsonText(o.pool)}"${epochField(o.epoch)},"end":"${o.end}"}\n`;
}

const plainCombined = plainJson;
const utf8 = new TextEncoder();

/** Escaped as nginx does it; text from beyond latin1 (never a client's) byte by byte of its UTF-8. */
const combinedText = (text: string): string =>
  plainCombined.test(text)
    ? text
    : text.replace(/[^ !#-[\]-~]/gu, (char) => {
        const code = char.codePointAt(0)!;
        const bytes = code < 0x100 ? [code] : [...utf8.encode(char)];
        return bytes.map((byte) => `\\x${hex(byte, 2).toUpperCase()}`).join('');
      });

const orDash = (text: string | undefined): string => (text === undefined || text === '' ? '-' : combinedText(text));

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function combinedFormatter(): (outcome: Outcome) => string {
  const seconds = perSecond((date) => {
    const [year, month, day] = date.toISOString().slice(0, 10).split('-');
    return `${day}/${months[Number(month) - 1]}/${year}:${date.toISOString().slice(11, 19)} +0000`;
  });
  return (o) => {
    const request =
      o.method === '' ? '-' : `${combinedText(o.method)} ${combinedText(o.target)} ${combinedText(o.protocol)}`;
    return (
      `${combinedWord(o.client)} - - [${seconds(o.startedAt)}] "${request}" ${wholeNumber(o.status)}` +
      ` ${Math.max(0, wholeNumber(o.bytesOut - o.headOut))} "${orDash(o.header('referer'))}" "${orDash(o.header('user-agent'))}"\n`
    );
  };
}

/** A field without quotes around it: a blank in it would shift the others. */
const combinedWord = (text: string): string => orDash(text).replaceAll(' ', '\\x20');
