/**
 * One probe of one node, over a connection of its own, so that a listener that is gone is seen at once.
 *
 *   tcp          succeeds when the connection is open
 *   http, https  succeeds when an answer has come whole, with an expected status, and the expected text in the first
 *                64 KiB of its body (what comes after them is not waited for)
 *
 * The time-out covers everything from the name's resolution to the body's end. Never throws and never rejects: what
 * went wrong is the result. A time-out that comes late was served by a process that stood still: the node, whose answer
 * may wait in the kernel, gets the time-out once more.
 * An https node is asked over TLS by its pool's rules, whatever the kind. With the kind https, others are, too: verified
 * against Node's store (NODE_EXTRA_CA_CERTS adds to it), for the name in `host`.
 */
import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { isExhausted } from '../../base/errno.ts';
import type { Millis } from '../../base/ids.ts';
import { type HealthAnswer, plainAnswer, readAnswer, withFields } from '../answer.ts';
import type { ProbeResult } from '../machine.ts';
import type { HealthPolicy, ProbeAddress, ProbeTls } from '../policy.ts';
import { inWords } from '../why.ts';

export interface ProbeTarget {
  readonly address: ProbeAddress;
  readonly policy: HealthPolicy;
  /** Of the pool, told to the node as X-HA-Epoch; 0 or none: none. */
  readonly epoch?: number;
}

export interface ProbeOptions {
  /** Monotonic. */
  readonly now: () => Millis;
  /** Ends the probe early, as failed. */
  readonly signal?: AbortSignal;
}

/** Bytes of a body that are looked at. */
const maxBody = 64 * 1024;
const maxDetail = 200;
/** Lateness of a timer that says nothing, ms. */
const leastLate = 20;

export function probe(target: ProbeTarget, options: ProbeOptions): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const attempt = new Attempt(target, options, resolve);
    try {
      if (target.policy.kind === 'tcp') probeTcp(attempt);
      else probeHttp(attempt);
    } catch (error) {
      attempt.fail(error);
    }
  });
}

/** Ends once, whatever comes first: an answer, an error, the time-out, the caller. */
class Attempt {
  readonly target: ProbeTarget;
  readonly #resolve: (result: ProbeResult) => void;
  readonly #options: ProbeOptions;
  readonly #startedAt: Millis;
  #timer: NodeJS.Timeout;
  #cleanUp: (() => void) | null = null;
  #done = false;

  constructor(target: ProbeTarget, options: ProbeOptions, resolve: (result: ProbeResult) => void) {
    this.target = target;
    this.#options = options;
    this.#resolve = resolve;
    this.#startedAt = options.now();
    this.#timer = this.#arm();
    options.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  #arm(): NodeJS.Timeout {
    const { timeout } = this.target.policy;
    const armedAt = this.#options.now();
    return setTimeout(() => {
      const late = this.#options.now() - armedAt - timeout;
      if (late > Math.max(leastLate, timeout / 4)) this.#timer = this.#arm();
      else this.end({ ok: false, detail: `timed out after ${inWords(timeout)}` });
    }, timeout);
  }

  readonly #abort = (): void => this.end({ ok: false, detail: 'given up' });

  get done(): boolean {
    return this.#done;
  }

  /** Milliseconds so far, in words. */
  get took(): string {
    return inWords(Math.max(1, this.#options.now() - this.#startedAt));
  }

  /** What frees the connection, called once at the end. */
  onEnd(cleanUp: () => void): void {
    this.#cleanUp = cleanUp;
  }

  end(result: Pick<ProbeResult, 'ok' | 'detail'> & Partial<ProbeResult>): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#cleanUp?.();
    const durationMs = this.#options.now() - this.#startedAt;
    this.#resolve({ refused: false, answer: plainAnswer, ...result, detail: printable(result.detail), durationMs });
  }

  fail(error: unknown): void {
    this.end({ ok: false, detail: errorDetail(error), refused: isRefused(error), unasked: isOurs(error) });
  }
}

function probeTcp(attempt: Attempt): void {
  const { address, policy } = attempt.target;
  const socket = net.connect(
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: policy.port ?? address.port },
  );
  attempt.onEnd(() => socket.destroy());
  socket.on('connect', () => attempt.end({ ok: true, detail: `connected in ${attempt.took}` }));
  socket.on('error', (error) => attempt.fail(error));
  socket.on('close', () => attempt.end({ ok: false, detail: 'the connection was closed' }));
}

function probeHttp(attempt: Attempt): void {
  const { address, policy, epoch = 0 } = attempt.target;
  const secure = address.kind === 'tcp' ? address.secure : undefined;
  const host = policy.host ?? authorityOf(address, policy);
  const options: RequestOptions = {
    ...(address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: address.host, port: policy.port ?? address.port }),
    // A connection of its own.
    agent: false,
    setHost: false,
    method: policy.method,
    path: policy.path,
    headers: {
      host,
      'user-agent': 'evenkeel-health',
      accept: '*/*',
      'accept-encoding': 'identity',
      connection: 'close',
      ...(epoch > 0 ? { 'x-ha-epoch': String(epoch) } : {}),
    },
  };
  const request =
    secure === undefined && policy.kind === 'http'
      ? http.request(options)
      : https.request({ ...options, ...tlsOptions(secure, serverName(secure, host, address)) });
  attempt.onEnd(() => request.destroy());
  request.on('response', (response) => new AnswerReader(attempt, response).read());
  // What has been switched to another protocol is no answer.
  request.on('upgrade', (_response, socket) => {
    socket.destroy();
    attempt.fail(cutOff);
  });
  request.on('error', (error) => attempt.fail(error));
  request.on('close', () => attempt.fail(cutOff));
  request.end();
}

const cutOff = new Error('the connection was closed before the answer was whole');

class AnswerReader {
  readonly #attempt: Attempt;
  readonly #response: IncomingMessage;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(attempt: Attempt, response: IncomingMessage) {
    this.#attempt = attempt;
    this.#response = response;
  }

  read(): void {
    const response = this.#response;
    // Its body does not matter.
    if (!isExpected(response.statusCode ?? 0, this.#attempt.target.policy)) return this.#judge();
    response.on('data', (chunk: Buffer) => {
      if (this.#attempt.done) return;
      this.#chunks.push(chunk.subarray(0, maxBody - this.#bytes));
      this.#bytes += chunk.length;
      if (this.#bytes >= maxBody) this.#judge();
    });
    response.on('end', () => (response.complete ? this.#judge() : this.#attempt.fail(cutOff)));
    response.on('error', (error) => this.#attempt.fail(error));
  }

  #judge(): void {
    this.#attempt.end(this.#result());
  }

  #result(): { ok: boolean; detail: string; answer?: HealthAnswer } {
    const { policy } = this.#attempt.target;
    const { statusCode = 0, headers } = this.#response;
    const what = `${statusCode} in ${this.#attempt.took}`;
    if (!isExpected(statusCode, policy)) return { ok: false, detail: `unexpected status ${what}` };
    const body = Buffer.concat(this.#chunks);
    if (policy.body !== null && !body.includes(policy.body, 0, 'utf8')) {
      return { ok: false, detail: `${what}, but the body does not contain ${JSON.stringify(policy.body)}` };
    }
    const tooLong = this.#bytes > maxBody;
    const answer = tooLong ? withFields(plainAnswer, headers) : readAnswer(headers, body.toString('utf8'));
    if (answer.says === 'down') return { ok: false, detail: `${what}, but the node says that it is down`, answer };
    return { ok: true, detail: what, answer };
  }
}

function isExpected(status: number, policy: HealthPolicy): boolean {
  return policy.status.some(([from, to]) => status >= from && status <= to);
}

/** host:port as a URL has it; a unix socket is `localhost`. */
function authorityOf(address: ProbeAddress, policy: HealthPolicy): string {
  if (address.kind === 'unix') return 'localhost';
  const host = net.isIPv6(address.host) ? `[${address.host}]` : address.host;
  return `${host}:${policy.port ?? address.port}`;
}

function tlsOptions(secure: ProbeTls | undefined, servername: string): https.RequestOptions {
  if (secure === undefined) return { servername };
  const { ca, cert, key, verify } = secure;
  return {
    servername,
    rejectUnauthorized: verify,
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
  };
}

/** TLS server name, and the name that the certificate must carry; empty: the address itself, which is checked as such. */
function serverName(secure: ProbeTls | undefined, host: string, address: ProbeAddress): string {
  const own = address.kind === 'tcp' ? address.host : 'localhost';
  if (secure !== undefined) return secure.servername ?? (net.isIP(own) === 0 ? own : '');
  const name = host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (net.isIP(name) === 0) return name;
  return net.isIP(own) === 0 ? own : '';
}

/** A name with several addresses fails with all their errors; the first one tells enough. */
function errorDetail(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorDetail(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.message === 'socket hang up' || error.message === 'aborted') return cutOff.message;
  return error.message || codeOf(error) || error.name;
}

/** A name with several addresses may have been tried at one of them before the descriptors ran out: then, too. */
function isOurs(error: unknown): boolean {
  return error instanceof AggregateError ? error.errors.some(isOurs) : isExhausted(codeOf(error));
}

function isRefused(error: unknown): boolean {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isRefused);
  const code = codeOf(error);
  return code === 'ECONNREFUSED' || (code === 'ENOENT' && error instanceof Error && error.message.includes('connect'));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Messages may quote what the node sent (a certificate's names): one line, of bounded length. */
function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g, ' ').slice(0, maxDetail);
}
