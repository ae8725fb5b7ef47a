/**
 * The judge's own reading of HTTP/1.1 bytes. It shares nothing with the engine and forgives nothing: whatever RFC 9112
 * does not plainly allow is a fault in words. Bytes are latin1 strings.
 *
 *   readMessages(bytes, 'request')  ->  messages in order, what is left behind the last whole one, faults
 *
 * For what reached a node: one framing field at most, CRLF only, no control bytes, Host once, no chunk extensions.
 */
export interface Message {
  /** The first line, without its CRLF. */
  readonly start: string;
  /** Lines of the head as they came, without the first one. */
  readonly lines: readonly string[];
  /** All values of a field, by lower-case name. */
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly framing: 'none' | 'length' | 'chunked' | 'until-close';
  /** Decoded. As much as has come. */
  readonly body: string;
  readonly trailers: readonly string[];
  readonly complete: boolean;
  /** Offset behind its last byte in what was read. */
  readonly end: number;
}

export interface Reading {
  readonly messages: readonly Message[];
  /** Bytes behind the last message that was begun. */
  readonly rest: string;
  readonly faults: readonly string[];
}

export interface ReadOptions {
  /** Methods of the requests that were sent, in order: an answer to HEAD has no body. */
  readonly methods?: readonly string[];
  /** The connection ended in order (FIN): completes a body that runs until then. */
  readonly ended?: boolean;
}

export function readMessages(bytes: string, kind: 'request' | 'response', options: ReadOptions = {}): Reading {
  const messages: Message[] = [];
  const faults: string[] = [];
  let at = 0;
  let finals = 0;
  while (at < bytes.length) {
    const headEnd = bytes.indexOf('\r\n\r\n', at);
    if (headEnd < 0) break;
    const head = bytes.slice(at, headEnd).split('\r\n');
    const start = head[0] ?? '';
    const lines = head.slice(1);
    const fields = readFields(lines, faults);
    faults.push(
      ...(kind === 'request' ? requestFaults(start, fields) : responseFaults(start)),
      ...framingFaults(fields),
    );
    const framing =
      kind === 'request' ? requestFraming(fields) : responseFraming(start, fields, options.methods?.[finals]);
    const body = readBody(bytes, headEnd + 4, { framing, fields, ended: options.ended ?? false });
    faults.push(...body.faults);
    messages.push({
      start,
      lines,
      fields,
      framing,
      body: body.text,
      trailers: body.trailers,
      complete: body.complete,
      end: body.end,
    });
    if (!/^HTTP\/1\.[01] 1\d\d/.test(start)) finals += 1;
    at = body.end;
    if (!body.complete) break;
  }
  return { messages, rest: bytes.slice(at), faults };
}

/** Status of a response's first line; 0 if it has none. */
export const statusOf = (message: Message): number => Number(/^HTTP\/1\.[01] (\d{3})/.exec(message.start)?.[1] ?? 0);

/** Answers other than 1xx. */
export const finalOf = (reading: Reading): Message[] =>
  reading.messages.filter((m) => statusOf(m) >= 200 || statusOf(m) === 101);

export const field = (message: Message, name: string): string | undefined => message.fields.get(name)?.[0];

function readFields(lines: readonly string[], faults: string[]): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (match === null) {
      faults.push(`field line ${JSON.stringify(line.slice(0, 80))}`);
      continue;
    }
    const name = match[1]!.toLowerCase();
    const values = fields.get(name) ?? [];
    values.push(match[2]!.trimEnd());
    fields.set(name, values);
  }
  return fields;
}

function requestFaults(start: string, fields: ReadonlyMap<string, readonly string[]>): string[] {
  const faults: string[] = [];
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e]+ HTTP\/1\.[01]$/.test(start))
    faults.push(`request line ${JSON.stringify(start)}`);
  const hosts = fields.get('host')?.length ?? 0;
  if (hosts !== 1) faults.push(`${hosts} Host fields`);
  return faults;
}

function responseFaults(start: string): string[] {
  return /^HTTP\/1\.[01] [1-5]\d\d( [\t\x20-\x7e\x80-\xff]*)?$/.test(start)
    ? []
    : [`status line ${JSON.stringify(start)}`];
}

function framingFaults(fields: ReadonlyMap<string, readonly string[]>): string[] {
  const lengths = fields.get('content-length') ?? [];
  const codings = fields.get('transfer-encoding') ?? [];
  const faults: string[] = [];
  if (lengths.length + codings.length > 1)
    faults.push(`${lengths.length} Content-Length and ${codings.length} Transfer-Encoding`);
  if (lengths.some((value) => !/^(0|[1-9]\d{0,15})$/.test(value)))
    faults.push(`Content-Length ${lengths.join(' and ')}`);
  if (codings.some((value) => value !== 'chunked')) faults.push(`Transfer-Encoding ${codings.join(' and ')}`);
  return faults;
}

type Framing = Message['framing'];

function requestFraming(fields: ReadonlyMap<string, readonly string[]>): Framing {
  if (fields.has('transfer-encoding')) return 'chunked';
  return fields.has('content-length') ? 'length' : 'none';
}

function responseFraming(start: string, fields: ReadonlyMap<string, readonly string[]>, method = 'GET'): Framing {
  const status = Number(start.slice(9, 12));
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 'none';
  if (fields.has('transfer-encoding')) return 'chunked';
  return fields.has('content-length') ? 'length' : 'until-close';
}

interface Body {
  readonly text: string;
  readonly end: number;
  readonly complete: boolean;
  readonly trailers: readonly string[];
  readonly faults: readonly string[];
}

interface BodyFacts {
  readonly framing: Framing;
  readonly fields: ReadonlyMap<string, readonly string[]>;
  readonly ended: boolean;
}

function readBody(bytes: string, at: number, facts: BodyFacts): Body {
  if (facts.framing === 'none') return { text: '', end: at, complete: true, trailers: [], faults: [] };
  if (facts.framing === 'chunked') return readChunks(bytes, at);
  if (facts.framing === 'until-close') {
    return { text: bytes.slice(at), end: bytes.length, complete: facts.ended, trailers: [], faults: [] };
  }
  const length = Number(facts.fields.get('content-length')?.[0]);
  const text = bytes.slice(at, at + length);
  return { text, end: at + text.length, complete: text.length === length, trailers: [], faults: [] };
}

function readChunks(bytes: string, from: number): Body {
  const text: string[] = [];
  let at = from;
  const part = (complete: boolean, end: number, extra: Partial<Body> = {}): Body => ({
    text: text.join(''),
    end,
    complete,
    trailers: [],
    faults: [],
    ...extra,
  });
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return part(false, bytes.length);
    const line = bytes.slice(at, lineEnd);
    if (!/^[0-9a-fA-F]{1,14}$/.test(line))
      return part(false, bytes.length, { faults: [`chunk size line ${JSON.stringify(line)}`] });
    const size = Number.parseInt(line, 16);
    if (size === 0) return readTrailers(bytes, lineEnd + 2, part);
    const data = bytes.slice(lineEnd + 2, lineEnd + 2 + size);
    text.push(data);
    at = lineEnd + 2 + size;
    if (data.length < size || at + 2 > bytes.length) return part(false, bytes.length);
    if (bytes.slice(at, at + 2) !== '\r\n') return part(false, bytes.length, { faults: ['no CRLF behind chunk data'] });
    at += 2;
  }
}

function readTrailers(
  bytes: string,
  at: number,
  part: (complete: boolean, end: number, extra?: Partial<Body>) => Body,
): Body {
  if (bytes.startsWith('\r\n', at)) return part(true, at + 2);
  const end = bytes.indexOf('\r\n\r\n', at);
  if (end < 0) return part(false, bytes.length);
  const trailers = bytes.slice(at, end).split('\r\n');
  const faults: string[] = [];
  readFields(trailers, faults);
  return part(true, end + 4, { trailers, faults });
}
