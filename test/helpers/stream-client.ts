/** Bodies of any size through node:http, with back-pressure and a hash; nothing is held whole. */
import { type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { newHash, patternBlocks } from './pattern.ts';

export interface Body {
  readonly bytes: number;
  readonly sha256: string;
}

/** Downloads and hashes what comes. */
export async function download(port: number, path: string): Promise<Body & { status: number; chunked: boolean }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ port, host: '127.0.0.1', path, agent: false }, resolve).once('error', reject).end();
  });
  const body = await digest(response);
  return { ...body, status: response.statusCode ?? 0, chunked: response.headers['transfer-encoding'] === 'chunked' };
}

/** Uploads the pattern, sized or chunked; gives what the answer's JSON says. */
export async function upload(
  port: number,
  path: string,
  options: { bytes: number; chunked: boolean },
): Promise<unknown> {
  const outgoing = request({ port, host: '127.0.0.1', path, method: 'POST', agent: false });
  if (!options.chunked) outgoing.setHeader('content-length', options.bytes);
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    outgoing.once('response', resolve).once('error', reject),
  );
  await Promise.all([pipeline(Readable.from(patternBlocks(options.bytes)), outgoing), answered]);
  const text: Buffer[] = [];
  for await (const chunk of await answered) text.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(text).toString());
}

/** Uploads the pattern to a node that sends it back, and hashes what comes. */
export async function mirror(port: number, bytes: number): Promise<Body> {
  const outgoing = request({ port, host: '127.0.0.1', path: '/mirror', method: 'POST', agent: false });
  const answered = new Promise<IncomingMessage>((resolve, reject) =>
    outgoing.once('response', resolve).once('error', reject),
  );
  const sent = pipeline(Readable.from(patternBlocks(bytes)), outgoing);
  const [body] = await Promise.all([answered.then(digest), sent]);
  return body;
}

async function digest(response: IncomingMessage): Promise<Body> {
  const hash = newHash();
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}
