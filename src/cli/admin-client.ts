/** Asks the admin API of a running evenkeel, over TCP or a unix socket: JSON, and server-sent events. */
import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { CommandError, exitCode } from './exit.ts';

export interface AdminTarget {
  /** `http://127.0.0.1:9090`, `127.0.0.1:9090` or `unix:/run/evenkeel/admin.sock`. */
  readonly address: string;
  readonly token: string | null;
}

const defaultTimeoutMs = 5000;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function urlOf(address: string, path: string): URL {
  const base = address.includes('://') ? address : `http://${address}`;
  if (base.startsWith('http://') && URL.canParse(path, base)) return new URL(path, base);
  throw new CommandError(
    `--admin ${address}: not an address. Write host:port, http://host:port or unix:/path.`,
    exitCode.usage,
  );
}

export interface Ask {
  /** Default GET. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With the query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Without a byte for so long it counts as unreachable; 0: never. Default 5 s. */
  readonly timeoutMs?: number;
}

interface Asking {
  readonly answered: (incoming: IncomingMessage) => void;
  readonly failed: (error: unknown) => void;
}

function begin(target: AdminTarget, ask: Ask, { answered, failed }: Asking): void {
  try {
    sendOff(target, ask, answered).on('error', failed);
  } catch (error) {
    failed(error); // an address or a token that no request can carry
  }
}

function sendOff(target: AdminTarget, ask: Ask, onAnswer: Asking['answered']): ClientRequest {
  const { method = 'GET', path, body, timeoutMs = defaultTimeoutMs } = ask;
  const unix = target.address.startsWith('unix:') ? target.address.slice('unix:'.length) : null;
  const url = unix === null ? urlOf(target.address, path) : new URL(path, 'http://localhost');
  const content = body === undefined ? null : Buffer.from(JSON.stringify(body));
  const options: RequestOptions = {
    method,
    headers: {
      accept: 'application/json',
      ...(target.token !== null && { authorization: `Bearer ${target.token}` }),
      ...(content !== null && { 'content-type': 'application/json', 'content-length': content.byteLength }),
    },
    timeout: timeoutMs,
    agent: false,
    ...(unix === null ? {} : { socketPath: unix }),
  };
  const outgoing = request(url, options, onAnswer);
  outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
  outgoing.end(content ?? undefined);
  return outgoing;
}

const send = (target: AdminTarget, ask: Ask): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const answered = (incoming: IncomingMessage): void =>
      void text(incoming).then((body) => resolve({ status: incoming.statusCode ?? 0, body }), reject);
    begin(target, ask, { answered, failed: reject });
  });

const reasonOf = (error: unknown): string => {
  const cause = error instanceof AggregateError ? error.errors[0] : error;
  return cause instanceof Error ? cause.message : String(cause);
};

const unreachable = (target: AdminTarget, path: string, what: string): CommandError =>
  new CommandError(`Cannot read ${path} from the admin API at ${target.address}: ${what}`, exitCode.unreachable);

const notRunning = (target: AdminTarget, path: string, error: unknown): CommandError =>
  error instanceof CommandError
    ? error
    : unreachable(target, path, `${reasonOf(error)}. Is evenkeel running? Name another address with --admin.`);

export interface Answered {
  readonly status: number;
  readonly json: unknown;
}

/** Throws CommandError: `unreachable` if nothing answers as the admin API does, with what to do about it. */
export async function askAdmin(target: AdminTarget, ask: Ask): Promise<Answered> {
  let answer: Answer;
  try {
    answer = await send(target, ask);
  } catch (error) {
    throw notRunning(target, ask.path, error);
  }
  return understood(target, ask.path, answer);
}

function understood(target: AdminTarget, path: string, { status, body }: Answer): Answered {
  if (status === 401) {
    const advice = 'Give its token with --token or in EVENKEEL_ADMIN_TOKEN.';
    throw unreachable(target, path, `it answers ${status}. ${advice}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    const what = status === 200 ? 'its answer is not JSON' : `it answers ${status}`;
    throw unreachable(target, path, `${what}. Is that evenkeel's admin address?`);
  }
  if (status === 403) throw unreachable(target, path, `it answers 403. ${whyIn(json)}`);
  return { status, json };
}

/** Of a problem; no token helps against a Host that is not allowed. */
function whyIn(json: unknown): string {
  const { title, detail } = (json ?? {}) as Readonly<Record<string, unknown>>;
  return typeof title === 'string' ? `${title}: ${String(detail)}` : "Is that evenkeel's admin address?";
}

/** The bytes of a good answer to a GET, or the answer that it was instead. Throws as askAdmin does. */
export function readBytes(target: AdminTarget, path: string): Promise<Buffer | Answered> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(notRunning(target, path, error));
    const answered = (incoming: IncomingMessage): void =>
      void buffer(incoming)
        .then((body) => {
          const { statusCode: status = 0 } = incoming;
          return status === 200 ? body : understood(target, path, { status, body: body.toString() });
        })
        .then(resolve, failed);
    begin(target, { path, timeoutMs: 60_000 }, { answered, failed });
  });
}

/** The answer to a GET that can only be 200. Throws as askAdmin does. */
export async function readAdmin(target: AdminTarget, path: string): Promise<unknown> {
  const { status, json } = await askAdmin(target, { path });
  if (status !== 200) throw unreachable(target, path, `it answers ${status}. Is that evenkeel's admin address?`);
  return json;
}

/**
 * Reads server-sent events to their end; `sink` gets each one's name and data. Resolves with null then, or with the
 * answer if it was none of 200. Rejects with a CommandError as askAdmin does, also if the stream breaks off.
 */
export function readEvents(
  target: AdminTarget,
  path: string,
  sink: (event: string, data: unknown) => void,
): Promise<Answered | null> {
  return new Promise((resolve, reject) => {
    const failed = (error: unknown): void => reject(notRunning(target, path, error));
    const answered = (incoming: IncomingMessage): void => {
      const { statusCode: status = 0 } = incoming;
      if (status !== 200) {
        const refused = text(incoming).then((body) => understood(target, path, { status, body }));
        return void refused.then(resolve, failed);
      }
      let rest = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        const blocks = (rest + chunk).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) tellEvent(block, sink);
      });
      incoming.on('error', failed);
      incoming.on('end', () => resolve(null));
    };
    // A line comes every 15 s at least.
    begin(target, { path, timeoutMs: 60_000 }, { answered, failed });
  });
}

function tellEvent(block: string, sink: (event: string, data: unknown) => void): void {
  // Only a line feed ends a line here: JSON may hold other characters that end one elsewhere.
  const lines = block.split('\n');
  const field = (name: string): string | null =>
    lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
  const [event, data] = [field('event'), field('data')];
  if (event !== null && data !== null) sink(event, JSON.parse(data));
}
