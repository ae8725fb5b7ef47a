/**
 * Reads a node's answer as strictly as a client's request: one status line, one framing, no control bytes. What can't be
 * read in one way is no answer (502), and its connection is not used again.
 * As for requests, `fields` holds the lines to pass on; framing, hop-by-hop fields and X-Request-Id are written anew.
 */
import {
  dropFields,
  FieldCursor,
  fieldLine,
  fieldValue,
  findField,
  listMembers,
  parseLength,
  upgradeFields,
} from './grammar.ts';

/** Body framing of an answer, beside a number of bytes. */
export const chunkedBody = -1;
export const untilClose = -2;

const headPattern = new RegExp(`HTTP/1\\.[01] [1-9][0-9][0-9](?: ${fieldValue}*)?\\r\\n(?:${fieldLine})*\\r\\n`, 'y');

const maxFields = 1000;
const maxField = 32 * 1024;

export class ResponseHead {
  status = 0;
  /** `200 OK`, as the node wrote it. */
  statusText = '';
  minor = 1;
  fields = '';
  /** A number of bytes, `chunkedBody` or `untilClose`, before the request's method is considered. */
  bodyLength = untilClose;
  /** The length that the node gave, for answers without a body; -1 if none. */
  givenLength = -1;
  keepAlive = true;
  /** Seconds of the Keep-Alive field's timeout; -1 if none. */
  keepAliveTimeout = -1;
  hasDate = false;
  upgradeTo = '';
  trailer = '';
  raw = '';

  lengths = 0;
  codings = 0;
  contentLength = '';
  transferEncoding = '';
  connection = '';

  header(name: string): string | undefined {
    return findField(this.raw, name);
  }
}

/** The head that begins at `start` and whose empty line ends at `end`, or in words what is wrong with it. */
export function readResponseHead(text: string, start: number, end: number): ResponseHead | string {
  headPattern.lastIndex = start;
  if (!headPattern.test(text) || headPattern.lastIndex !== end) return 'the head of the answer is not HTTP/1.x';
  const lineEnd = text.indexOf('\r', start);
  const head = new ResponseHead();
  head.minor = text.charCodeAt(start + 7) - 0x30;
  head.status = readStatus(text, start + 9);
  head.statusText = text.slice(start + 9, lineEnd);
  // `HTTP/1.1 200` without the space that RFC 9112 asks for is common; written out it gets one.
  if (head.statusText.length === 3) head.statusText += ' ';
  head.raw = text.slice(lineEnd + 2, end - 2);
  return readFields(head) ?? interpret(head) ?? head;
}

/** Three digits. */
const readStatus = (text: string, at: number): number =>
  text.charCodeAt(at) * 100 + text.charCodeAt(at + 1) * 10 + text.charCodeAt(at + 2) - 0x30 * 111;

function readFields(head: ResponseHead): string | null {
  const raw = head.raw;
  let kept = '';
  let run = 0;
  let at = 0;
  let count = 0;
  while (at < raw.length) {
    if (++count > maxFields) return `more than ${maxFields} fields`;
    const colon = raw.indexOf(':', at);
    const end = raw.indexOf('\r', colon) + 2;
    if (end - at > maxField) return `a field of over ${maxField} bytes`;
    if (!isPlain(raw.charCodeAt(at) | 0x20, colon - at) && !takeField(head, seen.set(raw, at, { colon, end }))) {
      if (run < at) kept += raw.slice(run, at);
      run = end;
    }
    at = end;
  }
  head.fields = run === 0 ? raw : kept + raw.slice(run);
  return null;
}

function isPlain(letter: number, length: number): boolean {
  switch (letter) {
    case 0x63: // connection, content-length
      return length !== 10 && length !== 14;
    case 0x64: // date
      return length !== 4;
    case 0x6b: // keep-alive
      return length !== 10;
    case 0x70: // proxy-connection, proxy-authenticate
      return length !== 16 && length !== 18;
    case 0x74: // te, trailer, transfer-encoding
      return length !== 2 && length !== 7 && length !== 17;
    case 0x75: // upgrade
      return length !== 7;
    case 0x78: // x-request-id
      return length !== 12;
    default:
      return true;
  }
}

const seen = new FieldCursor();

function takeField(head: ResponseHead, line: FieldCursor): boolean {
  switch (line.name) {
    case 'content-length':
      head.lengths++;
      head.contentLength = line.value;
      return false;
    case 'transfer-encoding':
      head.codings++;
      head.transferEncoding = line.value;
      return false;
    case 'connection':
      head.connection = head.connection === '' ? line.value : `${head.connection}, ${line.value}`;
      return false;
    case 'keep-alive':
      head.keepAliveTimeout = Number(/(?:^|[ ,])timeout="?([0-9]{1,9})/i.exec(line.value)?.[1] ?? -1);
      return false;
    case 'upgrade':
      head.upgradeTo = line.value;
      return false;
    case 'trailer':
      head.trailer = line.value;
      return false;
    case 'proxy-connection':
    case 'proxy-authenticate':
    case 'te':
    case 'x-request-id':
      return false;
    case 'date':
      head.hasDate = true;
      return true;
    default:
      return true;
  }
}

function interpret(head: ResponseHead): string | null {
  head.keepAlive = head.minor === 1;
  if (head.connection !== '') readConnection(head);
  // 426 has to say what it asks for (RFC 9110 15.5.22), and that is the one upgrade that we take.
  if (head.status === 426 && head.upgradeTo.toLowerCase() === 'websocket') head.fields += upgradeFields;
  if (head.codings > 0) {
    if (head.lengths > 0) return 'both Content-Length and Transfer-Encoding';
    if (head.codings > 1 || head.transferEncoding.toLowerCase() !== 'chunked')
      return 'a Transfer-Encoding that is not exactly chunked';
    if (head.minor === 0) return 'Transfer-Encoding in HTTP/1.0';
    head.bodyLength = chunkedBody;
  } else if (head.lengths > 0) {
    if (head.lengths > 1) return 'several Content-Length fields';
    head.givenLength = parseLength(head.contentLength);
    if (head.givenLength < 0) return 'Content-Length is not a plain number below 2^53';
    head.bodyLength = head.givenLength;
  }
  return null;
}

function readConnection(head: ResponseHead): void {
  // What nearly every server sends; the list costs 70 ns.
  if (head.connection === 'keep-alive') {
    head.keepAlive = true;
    return;
  }
  const options = listMembers(head.connection);
  if (options.includes('close')) head.keepAlive = false;
  else if (head.minor === 0) head.keepAlive = options.includes('keep-alive');
  const named = options.filter(
    (option) => option !== 'close' && option !== 'keep-alive' && option !== 'upgrade' && !unremovable.has(option),
  );
  if (named.length > 0) head.fields = dropFields(head.fields, new Set(named));
}

/** A node's Connection field can't take these away: the client would read another answer. */
const unremovable = new Set([
  'content-type',
  'content-encoding',
  'content-range',
  'date',
  'set-cookie',
  'cache-control',
]);

/**
 * An answer to HEAD that has no framing, from a node that does not say that it keeps the connection: it may close it without
 * a word, as it would to end the body of a GET. (Go's servers answer so and keep it; others close.)
 */
export function mayCloseUnsaid(method: string, head: ResponseHead): boolean {
  return (
    method === 'HEAD' &&
    head.bodyLength === untilClose &&
    head.status !== 204 &&
    head.status !== 304 &&
    head.keepAliveTimeout < 0 &&
    !listMembers(head.connection).includes('keep-alive')
  );
}

/**
 * Whether what stands behind the answer on a connection that others share can only be the next one. A node may send a body
 * behind an answer that may have none (to HEAD; or it tells of one): the next answer would begin with it, and each after that
 * would be another's.
 */
export function endsPlainly(method: string, { minor, status, codings, givenLength }: ResponseHead): boolean {
  if (minor === 0 || method === 'HEAD') return false;
  return hasBody(method, status) || (codings === 0 && (status !== 204 || givenLength <= 0));
}

/** Whether an answer to this method has a body, whatever its fields say. RFC 9112 6.3. */
export function hasBody(method: string, status: number): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304 && status >= 200;
}
