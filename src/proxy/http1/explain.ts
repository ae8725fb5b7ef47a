/**
 * Says why a head is not HTTP: the slow path behind the parser's one regular expression. It never accepts; it only
 * chooses the status and the reason. It sees incomplete heads too, so that a hopeless one is refused at once instead of
 * being waited for, with the verdict that the whole head would get.
 */
import { fieldLine, isToken, looseLineEnd } from './grammar.ts';
import { type HeadLimits, type Refusal, refuse } from './request-head.ts';

const controlByte = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;
const versionPattern = /^HTTP\/([0-9])\.([0-9])$/;
const oneField = new RegExp(`^${fieldLine}$`);

export function explainHead(text: string, limits: HeadLimits): Refusal {
  return refuseRequestLine(text, limits) ?? refuseBytes(text) ?? refuseFields(text);
}

/** What can be said of the beginning of a head: null if it may still become a good one. In the order of explainHead. */
export function refuseEarly(text: string, limits: HeadLimits): Refusal | null {
  return (text.includes('\r\n') ? refuseRequestLine(text, limits) : null) ?? refuseBytes(text);
}

/** Bytes that no head may hold. A CR at the very end is not judged: its LF may be on the way. */
export function refuseBytes(text: string): Refusal | null {
  if (controlByte.test(text)) return refuse(400, 'bad-request-line', 'a control byte in the head');
  return looseLineEnd.test(text) ? refuse(400, 'bad-request-line', 'a line that does not end with CR LF') : null;
}

/** The first line of a text that has at least one CRLF: its bytes, then its parts, as one who gets them one by one would. */
export function refuseRequestLine(text: string, limits: HeadLimits): Refusal | null {
  const end = text.indexOf('\r\n');
  const bytes = refuseBytes(end === -1 ? text : text.slice(0, end + 2));
  if (bytes !== null) return bytes;
  const line = end === -1 ? text : text.slice(0, end);
  const parts = line.split(' ');
  const [method = '', target = '', version = ''] = parts;
  if (parts.length !== 3 || method === '' || target === '') {
    return refuse(400, 'bad-request-line', 'the request line is not METHOD SP target SP version');
  }
  if (!isToken(method) || method.length > 32)
    return refuse(400, 'bad-request-line', 'the method is no token of up to 32 bytes');
  const numbers = versionPattern.exec(version);
  if (numbers === null) return refuse(400, 'bad-request-line', 'the version is not HTTP/digit.digit');
  if (!/^[\x21\x22\x24-\x7e]+$/.test(target))
    return refuse(400, 'bad-target', 'the target has a byte that is not allowed');
  if (target.length > limits.maxTarget) return refuse(414, 'target-too-long', 'the target is too long');
  if (numbers[1] === '1' && (numbers[2] === '0' || numbers[2] === '1')) return null;
  if (method === 'PRI' && target === '*') return refuse(400, 'version', 'the HTTP/2 preface on an HTTP/1.1 listener');
  return refuse(505, 'version', 'a version other than HTTP/1.0 and HTTP/1.1');
}

const isBlankAt = (line: string, at: number): boolean => line[at] === ' ' || line[at] === '\t';

function refuseFields(text: string): Refusal {
  let at = text.indexOf('\r\n') + 2;
  while (at > 1 && at < text.length - 2) {
    const end = text.indexOf('\r\n', at) + 2;
    const line = text.slice(at, end);
    if (/^[ \t]/.test(line)) return refuse(400, 'bad-field', 'a field line that begins with white space');
    // No expression: one for blanks before the colon takes the square of a line of blanks (0.4 s for 32 KiB of them).
    if (isBlankAt(line, line.indexOf(':') - 1)) return refuse(400, 'bad-field', 'white space before a colon');
    if (!oneField.test(line)) return refuse(400, 'bad-field', 'a field line that is not name: value');
    at = end;
  }
  return refuse(400, 'bad-field', 'the head is not well formed');
}
