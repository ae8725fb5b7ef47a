/**
 * A second reader that shares nothing with us: Node's own parser. What a node got is sent to a server of it, as it came,
 * and must be read as the same request.
 */
import { createServer, type IncomingMessage, METHODS, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Message } from '../helpers/http-bytes.ts';
import { patienceMs } from '../helpers/poll.ts';
import type { Scope } from '../helpers/scope.ts';

export interface Oracle {
  /** What the other reader read otherwise, in words; empty: it is of one mind with us. */
  judge(request: Message): Promise<string[]>;
}

/** What it refuses though RFC 9110 allows it. */
const exceptions: readonly (readonly [name: string, is: (request: Message) => boolean])[] = [
  ['methods that nobody has registered', (request) => !METHODS.includes(request.start.split(' ')[0]!)],
];

interface Seen {
  readonly start: string;
  readonly lines: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

export async function startOracle(scope: Scope): Promise<Oracle> {
  const seen: Seen[] = [];
  const note = (request: IncomingMessage, body: string): void => {
    const pairs = (raw: readonly string[]): string[] =>
      raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));
    const start = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
    seen.push({ start, lines: pairs(request.rawHeaders), body, trailers: pairs(request.rawTrailers) });
  };
  const server: Server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      note(request, Buffer.concat(pieces).toString('latin1'));
      response.end();
    });
  });
  server.on('upgrade', (request, socket) => {
    note(request, '');
    socket.end('HTTP/1.1 426 x\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({ stop: () => void server.close() });
  const { port } = server.address() as AddressInfo;
  return {
    judge: async (request) => {
      if (exceptions.some(([, is]) => is(request))) return [];
      seen.length = 0;
      const status = await send(port, bytesOf(request));
      const expected = { start: request.start, lines: request.lines.map(trimmed), body: request.body, trailers: [] };
      const found = seen.map((one) => ({ ...one, lines: one.lines.map(trimmed) }));
      const same = JSON.stringify(found) === JSON.stringify([expected]);
      return same ? [] : [`Node's parser (${status}) read ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`];
    },
  };
}

/** Without the blanks around its value. */
const trimmed = (line: string): string => line.replace(/^([^:]+):[ \t]*(.*?)[ \t]*$/s, '$1: $2');

function bytesOf(request: Message): string {
  const head = `${[request.start, ...request.lines].join('\r\n')}\r\n\r\n`;
  if (request.framing !== 'chunked') return head + request.body;
  const chunk = request.body === '' ? '' : `${request.body.length.toString(16)}\r\n${request.body}\r\n`;
  return `${head}${chunk}0\r\n\r\n`;
}

/** The first line of the answer; what came, if the connection ended without one. */
function send(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  return new Promise((resolve) => {
    let text = '';
    socket.on('error', () => {});
    socket.setTimeout(patienceMs, () => socket.destroy());
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (/^HTTP\/1\.1 (?!1)[\s\S]*\r\n\r\n/m.test(text)) socket.destroy();
    });
    socket.on('close', () => resolve(text.slice(0, text.indexOf('\r\n'))));
    socket.write(bytes, 'latin1');
  });
}
