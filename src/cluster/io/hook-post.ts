/**
 * A hook by HTTP: POST with JSON, over a connection of its own. 2xx is success, anything else is not: no redirect is
 * followed. Of the answer's body 64 KiB are read; what comes after them is not waited for.
 */
import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { type HookDone, type HookWords, hookOutputMax } from './hook-words.ts';

/** How an https node is spoken to. PEM text; null: Node's own authorities, no certificate of ours, the url's host. */
export interface HookTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly verify: boolean;
  readonly servername: string | null;
}

export interface PostTo {
  /** A path of the node itself, or a whole url. */
  readonly url: string;
  /** Of the node. */
  readonly tls: HookTls | null;
}

/** Returns how to end it. */
export function postHook(to: PostTo, words: HookWords, done: HookDone): () => void {
  const body = JSON.stringify(words);
  const { secure, ...where } = placeOf(to, words.url);
  const options: RequestOptions = {
    ...where,
    agent: false,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      accept: 'application/json',
      'user-agent': 'evenkeel-failover',
      'x-ha-epoch': String(words.epoch),
      connection: 'close',
    },
  };
  const request = secure === null ? http.request(options) : https.request({ ...options, ...secure });
  request.on('response', (response) => read(response, done));
  request.on('upgrade', (_response, socket) => socket.destroy());
  request.on('error', (error) => done({ ok: false, detail: errorText(error) }));
  request.on('close', () => done({ ok: false, detail: 'the connection was closed without an answer' }));
  request.end(body);
  return () => {
    request.on('error', () => {});
    request.destroy();
  };
}

function read(response: IncomingMessage, done: HookDone): void {
  const { statusCode: status = 0 } = response;
  const ok = status >= 200 && status <= 299;
  const chunks: Buffer[] = [];
  let size = 0;
  const finish = (): void => {
    const text = Buffer.concat(chunks).toString('utf8').slice(0, hookOutputMax);
    const said = ok || text === '' ? '' : `: ${text.slice(0, 200)}`;
    done({ ok, detail: `${status} in %t${said}`, output: withField(response, text) });
  };
  response.on('data', (chunk: Buffer) => {
    if (size < hookOutputMax) chunks.push(chunk.subarray(0, hookOutputMax - size));
    size += chunk.length;
    if (size >= hookOutputMax) finish();
  });
  response.on('end', () => {
    if (response.complete) finish();
    else done({ ok: false, detail: `${status}, but the answer was cut off` });
  });
  response.on('error', () => done({ ok: false, detail: `${status}, but the answer was cut off` }));
}

/** A position may stand in a field instead of the body. */
function withField(response: IncomingMessage, text: string): string {
  const field = response.headers['x-ha-position'];
  return typeof field === 'string' && /^\d{1,16}$/.test(field) ? `{"position":${field}}` : text;
}

type Place = RequestOptions & { readonly secure: https.RequestOptions | null };

/** A path goes to the node of that url, which may be unix:/path. */
function placeOf({ url, tls }: PostTo, nodeUrl: string): Place {
  const ofNode = url.startsWith('/');
  if (ofNode && nodeUrl.startsWith('unix:'))
    return { socketPath: nodeUrl.slice('unix:'.length), host: 'localhost', path: url, secure: null };
  const { protocol, hostname, port, pathname, search } = new URL(ofNode ? `${nodeUrl}${url}` : url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const place = { host, path: `${pathname}${search}`, ...(port === '' ? {} : { port: Number(port) }) };
  if (protocol !== 'https:') return { ...place, secure: null };
  const servername = net.isIP(host) === 0 ? host : '';
  if (!ofNode || tls === null) return { ...place, secure: { servername } };
  const { ca, cert, key, verify } = tls;
  const secure = {
    servername: tls.servername ?? servername,
    rejectUnauthorized: verify,
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
  };
  return { ...place, secure };
}

/** A name with several addresses fails with all their errors; the first one tells enough. */
function errorText(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof Error)) return String(first);
  return first.message === 'socket hang up' ? 'the connection was closed without an answer' : first.message;
}
