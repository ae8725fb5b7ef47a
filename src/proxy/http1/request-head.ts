/**
 * Reads a request's head in exactly one way, or refuses it (RFC 9112 with the stricter choices of docs/SECURITY.md).
 *
 *   text up to CRLFCRLF -> one anchored regular expression over the whole head (syntax)
 *                       -> one pass over the lines (meaning), which also cuts out what must not be forwarded
 *
 * What is left is `fields`: the lines to forward, in runs copied as slices. Hop-by-hop fields, framing, and the fields
 * that only a proxy may set are not in it; the exchange writes those anew. The pass looks at a name's first letter and
 * length before it compares, so an ordinary line costs no string.
 * A refusal found here reaches no node.
 */
import { isProxyField } from '../../base/proxy-fields.ts';
import type { RefusalReason } from '../../scoreboard/layout.ts';
import { explainHead, refuseEarly } from './explain.ts';
import {
  dropFields,
  FieldCursor,
  fieldLine,
  findField,
  listMembers,
  parseLength,
  token,
  trimField,
} from './grammar.ts';

export interface Refusal {
  readonly status: number;
  readonly reason: RefusalReason;
  /** For the log and the answer; holds no text of the client. */
  readonly detail: string;
}

export const refuse = (status: number, reason: RefusalReason, detail: string): Refusal => ({ status, reason, detail });

export interface HeadLimits {
  readonly maxHead: number;
  readonly maxFields: number;
  readonly maxField: number;
  readonly maxTarget: number;
  readonly underscore: 'drop' | 'allow' | 'reject';
  /** `TE: trailers`, and Trailer where trailers can follow, are passed on. */
  readonly trailers: boolean;
}

/** Body framing: none, so many bytes, or chunked. */
export const chunked = -1;

const headPattern = new RegExp(
  `${token}{1,32} [\\x21\\x22\\x24-\\x7e]+ HTTP/1\\.[01]\\r\\n(?:${fieldLine})*\\r\\n`,
  'y',
);
/** Nearly all: those of which the port, if there is one, can't be too large. */
const plainHostPattern = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?:[0-9]{0,4}|[0-5][0-9]{4}))?$/;
const hostPattern = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?$/;
const absolutePattern = /^https?:\/\/([^/?]*)(.*)$/i;

/** Names that a client's Connection field can't make us drop: framing, Host, Expect, and what proxies set. */
const unremovable = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'expect',
  'x-request-id',
  'forwarded',
  'via',
]);

export class RequestHead {
  method = '';
  /** As the client sent it. */
  rawTarget = '';
  /** Origin form (or `*`), as it will be matched and forwarded before any rewrite; dot segments still in it. */
  target = '';
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  minor = 1;
  /** host[:port] as sent, or from an absolute target; empty only in HTTP/1.0. */
  authority = '';
  /** The lines to forward. */
  fields = '';
  /** The Host line is in `fields` as it came. */
  hostKept = false;
  /** 0 = none, `chunked`, or the number of bytes. */
  bodyLength = 0;
  /** A framing field was there: a request with `Content-Length: 0` is forwarded with it. */
  framed = false;
  keepAlive = true;
  expectContinue = false;
  /** A WebSocket upgrade that we take. */
  upgrade = false;
  teTrailers = false;
  /** Names of trailers to come, where they are passed on. */
  trailer = '';

  forwardedFor = '';
  forwardedProto = '';
  forwardedHost = '';
  forwardedPort = '';
  forwarded = '';
  requestId = '';
  via = '';
  /** Client-Cert and Client-Cert-Chain lines, kept only from trusted peers. */
  clientCert = '';
  /** Other X-Forwarded-* lines, kept only from trusted peers. */
  forwardedOther = '';

  /** Of OPTIONS: how many may still forward it; null if it does not say. RFC 9110 7.6.2. */
  hopsLeft: number | null = null;

  /** All field lines as they came, for header(). */
  raw = '';

  connection = '';
  expect = '';
  expects = 0;
  maxForwards: string | null = null;
  upgradeTo = '';
  hosts = 0;
  lengths = 0;
  codings = 0;
  transferEncoding = '';
  host = '';
  contentLength = '';

  /** First value of a field by its lower-case name. */
  header(name: string): string | undefined {
    return findField(this.raw, name);
  }
}

/**
 * Reads the head that begins at `start` and whose empty line ends at `end` (exclusive). Returns the head, or why it is
 * refused. Linear in the head's length.
 */
export function readRequestHead(
  text: string,
  range: { start: number; end: number },
  limits: HeadLimits,
): RequestHead | Refusal {
  const { start, end } = range;
  if (end - start > limits.maxHead) return headTooLarge(text.slice(start, start + limits.maxHead), limits);
  headPattern.lastIndex = start;
  if (!headPattern.test(text) || headPattern.lastIndex !== end) return explainHead(text.slice(start, end), limits);

  const head = new RequestHead();
  const space = text.indexOf(' ', start);
  const lineEnd = text.indexOf('\r', space);
  head.method = text.slice(start, space);
  head.rawTarget = text.slice(space + 1, lineEnd - 9);
  head.minor = text.charCodeAt(lineEnd - 1) - 0x30;
  if (head.rawTarget.length > limits.maxTarget) return refuse(414, 'target-too-long', 'the target is too long');
  head.raw = text.slice(lineEnd + 2, end - 2);
  return readFields(head, limits) ?? interpret(head, limits) ?? head;
}

/** Why a head is refused of which only the first maxHead bytes are looked at. */
export function headTooLarge(text: string, limits: HeadLimits): Refusal {
  const early = refuseEarly(text, limits);
  if (early !== null) return early;
  const lineEnd = text.indexOf('\r\n');
  // 32 bytes of method, two spaces, HTTP/1.1
  if (lineEnd === -1 ? text.length > limits.maxTarget + 42 : lineEnd > limits.maxTarget + 42) {
    return refuse(414, 'target-too-long', 'the target is too long');
  }
  return refuse(431, 'head-too-large', `the head is over ${limits.maxHead} bytes`);
}

/** One pass over the lines of head.raw: fills in what is understood, keeps what is to be forwarded. */
function readFields(head: RequestHead, limits: HeadLimits): Refusal | null {
  const raw = head.raw;
  let kept = '';
  let run = 0;
  let at = 0;
  let count = 0;
  let underscore = raw.indexOf('_');
  while (at < raw.length) {
    const colon = raw.indexOf(':', at);
    const end = raw.indexOf('\r', colon) + 2;
    if (++count > limits.maxFields) return refuse(431, 'head-too-large', `more than ${limits.maxFields} fields`);
    if (end - at > limits.maxField) return refuse(431, 'head-too-large', `a field is over ${limits.maxField} bytes`);
    let keep = true;
    if (underscore !== -1 && underscore < at) underscore = raw.indexOf('_', at);
    if (underscore !== -1 && underscore < colon) {
      if (limits.underscore === 'reject') return refuse(400, 'bad-field', 'a field name has an underscore');
      keep = limits.underscore === 'allow' && !passesForOurs(raw.slice(at, colon));
    } else {
      keep = isPlain(raw.charCodeAt(at) | 0x20, colon - at) || takeField(head, seen.set(raw, at, { colon, end }));
    }
    if (!keep) {
      if (run < at) kept += raw.slice(run, at);
      run = end;
    }
    at = end;
  }
  head.fields = run === 0 ? raw : kept + raw.slice(run);
  return null;
}

/** Whether a node that can't tell `_` from `-` would take it for a field that only we may set. */
function passesForOurs(name: string): boolean {
  const read = name.toLowerCase().replaceAll('_', '-');
  return unremovable.has(read) || isProxyField(read) || read.startsWith('x-ha-');
}

/** True for a name that can't be one that we look at, told by its first letter (lower case) and its length. */
function isPlain(letter: number, length: number): boolean {
  switch (letter) {
    case 0x63: // connection, client-cert, content-length, client-cert-chain
      return length !== 10 && length !== 11 && length !== 14 && length !== 17;
    case 0x65: // expect
      return length !== 6;
    case 0x66: // forwarded
      return length !== 9;
    case 0x68: // host, http2-settings
      return length !== 4 && length !== 14;
    case 0x6b: // keep-alive
      return length !== 10;
    case 0x6d: // max-forwards
      return length !== 12;
    case 0x70: // proxy-connection, proxy-authenticate, proxy-authorization
      return length < 16 || length > 19;
    case 0x74: // te, trailer, transfer-encoding
      return length !== 2 && length !== 7 && length !== 17;
    case 0x75: // upgrade
      return length !== 7;
    case 0x76: // via
      return length !== 3;
    case 0x78: // x-forwarded-*, x-real-ip, x-request-id, x-ha-*
      return length < 5;
    default:
      return true;
  }
}

const seen = new FieldCursor();

/** Takes note of a field that may mean something to us. True if its line is forwarded as it is. */
function takeField(head: RequestHead, line: FieldCursor): boolean {
  const { name } = line;
  switch (name) {
    case 'host':
      head.hosts++;
      head.host = line.value;
      head.hostKept = true;
      return true;
    case 'content-length':
      head.lengths++;
      head.contentLength = line.value;
      return false;
    case 'transfer-encoding':
      head.codings++;
      head.transferEncoding = line.value;
      return false;
    case 'connection':
      head.connection = join(head.connection, line.value);
      return false;
    case 'expect':
      head.expect = head.expects++ === 0 ? line.value : 'several';
      return true;
    case 'max-forwards':
      // TRACE goes nowhere, so it has a meaning for OPTIONS alone.
      if (head.method !== 'OPTIONS') return true;
      head.maxForwards = head.maxForwards === null ? line.value : 'several';
      return false;
    case 'upgrade':
      head.upgradeTo = join(head.upgradeTo, line.value);
      return false;
    case 'te':
      head.teTrailers ||= listMembers(line.value).includes('trailers');
      return false;
    case 'via':
      head.via = join(head.via, line.value);
      return true;
    case 'client-cert':
    case 'client-cert-chain':
      head.clientCert += line.text;
      return false;
    case 'keep-alive':
    case 'proxy-connection':
    case 'proxy-authenticate':
    case 'proxy-authorization':
    case 'http2-settings':
      return false;
    case 'trailer':
      head.trailer = join(head.trailer, line.value);
      return false;
    default:
      return name.charCodeAt(0) === 0x78 || name === 'forwarded' ? takeProxyField(head, name, line) : true;
  }
}

/** Fields that only a proxy sets: cut out, and remembered in case the peer is trusted. */
function takeProxyField(head: RequestHead, name: string, line: FieldCursor): boolean {
  const { value } = line;
  switch (name) {
    case 'x-forwarded-for':
      head.forwardedFor = join(head.forwardedFor, value);
      return false;
    case 'x-forwarded-proto':
      head.forwardedProto = value;
      return false;
    case 'x-forwarded-host':
      head.forwardedHost = value;
      return false;
    case 'x-forwarded-port':
      head.forwardedPort = value;
      return false;
    case 'forwarded':
      head.forwarded = join(head.forwarded, value);
      return false;
    case 'x-request-id':
      head.requestId = value;
      return false;
    case 'x-real-ip':
      return false;
  }
  if (name.startsWith('x-forwarded-')) head.forwardedOther += line.text;
  else if (!name.startsWith('x-ha-')) return true;
  return false;
}

const join = (before: string, value: string): string => (before === '' ? value : `${before}, ${value}`);

/** What the fields mean together; refuses what can be read in two ways. */
function interpret(head: RequestHead, limits: HeadLimits): Refusal | null {
  if (head.method === 'CONNECT' || head.method === 'TRACE') {
    return refuse(405, 'method-refused', `${head.method} is not accepted`);
  }
  const refusal = readFraming(head) ?? readHost(head) ?? readTarget(head) ?? readHops(head);
  if (refusal !== null) return refusal;
  readConnection(head, limits);
  if (head.expects === 0) return null;
  if (head.expect.toLowerCase() !== '100-continue')
    return refuse(417, 'expectation', 'an expectation other than 100-continue');
  if (head.minor === 1 && head.bodyLength !== 0) head.expectContinue = true;
  else head.fields = dropFields(head.fields, new Set(['expect']));
  return null;
}

/** RFC 9112 6: one framing field, one way to read it. */
function readFraming(head: RequestHead): Refusal | null {
  if (head.codings > 0) {
    if (head.lengths > 0) return refuse(400, 'bad-length', 'both Content-Length and Transfer-Encoding');
    if (head.minor === 0) return refuse(400, 'bad-transfer-encoding', 'Transfer-Encoding in HTTP/1.0');
    if (head.codings > 1) return refuse(400, 'bad-transfer-encoding', 'several Transfer-Encoding fields');
    if (head.transferEncoding.toLowerCase() !== 'chunked') return refuseCoding(head.transferEncoding);
    head.bodyLength = chunked;
    head.framed = true;
  } else if (head.lengths > 0) {
    if (head.lengths > 1) return refuse(400, 'bad-length', 'several Content-Length fields');
    head.bodyLength = parseLength(head.contentLength);
    if (head.bodyLength < 0) return refuse(400, 'bad-length', 'Content-Length is not a plain number below 2^53');
    head.framed = true;
  }
  return null;
}

function refuseCoding(value: string): Refusal {
  const members = value.split(',').map((member) => trimField(member, 0, member.length).toLowerCase());
  const last = members.pop();
  const codings =
    members.length > 0 && members.every((member) => /^[a-z][a-z0-9-]*$/.test(member) && member !== 'chunked');
  if (last === 'chunked' && codings) return refuse(501, 'coding', 'a transfer coding before chunked');
  return refuse(400, 'bad-transfer-encoding', 'Transfer-Encoding is not exactly chunked');
}

function readHost(head: RequestHead): Refusal | null {
  if (head.hosts > 1) return refuse(400, 'bad-host', 'several Host fields');
  if (head.hosts === 0) return head.minor === 0 ? null : refuse(400, 'bad-host', 'no Host field');
  head.authority = head.host;
  return isAuthority(head.host) ? null : refuse(400, 'bad-host', 'Host is not host[:port]');
}

function isAuthority(text: string): boolean {
  if (plainHostPattern.test(text)) return true;
  const match = hostPattern.exec(text);
  return match !== null && (match[1] === undefined || Number(match[1]) <= 65_535);
}

/** RFC 9112 3.2: origin, absolute or asterisk form; authority form belongs to CONNECT alone. */
function readTarget(head: RequestHead): Refusal | null {
  const raw = head.rawTarget;
  if (raw.charCodeAt(0) === 0x2f) {
    head.target = raw;
    return null;
  }
  if (raw === '*') {
    head.target = raw;
    return head.method === 'OPTIONS' ? null : refuse(400, 'bad-target', 'target * with a method other than OPTIONS');
  }
  const absolute = absolutePattern.exec(raw);
  if (absolute === null) return refuse(400, 'bad-target', 'the target is neither a path nor an http(s) address');
  const authority = absolute[1]!;
  if (!isAuthority(authority)) return refuse(400, 'bad-target', 'the target names no host[:port], or a user');
  head.authority = authority;
  if (head.hostKept) head.fields = dropFields(head.fields, new Set(['host']));
  head.hostKept = false;
  const path = absolute[2]!;
  if (path === '' && head.method === 'OPTIONS') head.target = '*';
  else head.target = path.charCodeAt(0) === 0x2f ? path : `/${path}`;
  return null;
}

function readHops(head: RequestHead): Refusal | null {
  if (head.maxForwards === null) return null;
  if (!/^[0-9]{1,9}$/.test(head.maxForwards)) return refuse(400, 'bad-field', 'Max-Forwards is not one plain number');
  head.hopsLeft = Number(head.maxForwards);
  return null;
}

/** Connection's options: persistence, the upgrade that we take, and the fields that end here. RFC 9110 7.6.1. */
function readConnection(head: RequestHead, limits: HeadLimits): void {
  head.keepAlive = head.minor === 1;
  if (!limits.trailers) {
    head.teTrailers = false;
    head.trailer = '';
  }
  if (head.connection === '') return;
  if (head.connection === 'keep-alive') {
    head.keepAlive = true;
    return;
  }
  const options = listMembers(head.connection);
  const named: string[] = [];
  let upgrade = false;
  for (const option of options) {
    if (option === 'close') continue;
    if (option === 'keep-alive') continue;
    if (option === 'upgrade') upgrade = true;
    else if (!unremovable.has(option) && option !== 'te') named.push(option);
  }
  if (options.includes('close')) head.keepAlive = false;
  else if (head.minor === 0) head.keepAlive = options.includes('keep-alive');
  if (named.length > 0) head.fields = dropFields(head.fields, new Set(named));
  head.upgrade =
    upgrade &&
    head.upgradeTo.toLowerCase() === 'websocket' &&
    head.method === 'GET' &&
    head.minor === 1 &&
    head.bodyLength === 0;
}
