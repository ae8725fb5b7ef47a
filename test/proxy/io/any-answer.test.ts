/**
 * Any bytes from a node, whole, in pieces and byte by byte: the client gets the same, and it is one of three things. A
 * whole answer that the strictest reader reads in the same way; 502; or a connection that breaks, if the head was good.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Message, readMessages, statusOf } from '../../helpers/http-bytes.ts';
import { RawClient } from '../../helpers/raw-client.ts';
import { type RawConnection, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { byteByByte, cutAt } from '../fixtures.ts';
import { startWorld } from '../world.ts';

const words = fc.constantFrom(
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0 200 OK\r\n',
  'HTTP/1.1 204 x\r\n',
  'HTTP/1.1 304 x\r\n',
  'HTTP/1.1 103 x\r\n\r\n',
  'HTTP/1.1 101 x\r\n',
  'HTTP/2 200\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5, 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Connection: close\r\n',
  'Set-Cookie: a=b\r\n',
  'A: b\r\n',
  '\r\n',
  'hello',
  '5\r\nhello\r\n',
  '5;x=y\r\nhello\r\n',
  '0\r\n\r\n',
  '0\r\nT: x\r\n\r\n',
  '5\nhello\r\n',
  '\r',
  '\n',
  '\0',
  ' ',
  'x',
);
const rest = fc.array(words, { maxLength: 6 }).map((parts) => parts.join(''));
/** Beginnings that lead far, so that bodies are reached. */
const start = fc.constantFrom(
  '',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  'HTTP/1.0 200 OK\r\n\r\n',
  'HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n',
);
const anyAnswer = fc.tuple(start, rest).map((parts) => parts.join(''));

const finalOf = (text: string): Message | undefined =>
  readMessages(text, 'response', { ended: true }).messages.find((message) => statusOf(message) >= 200);

/** Writes the pieces in turns of the loop, then FIN. */
async function play({ socket }: RawConnection, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
}

describe("any bytes as a node's answer", () => {
  it.each(['1.1', '1.0'])('are one thing to an HTTP/%s client, however they are split', async (version) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node], { pool: { errorsToEject: 0 } });

    /** What the client got: `200 hello`, `502`, or `broken`. */
    const got = async (pieces: readonly Buffer[]): Promise<string> => {
      node.respond = (_request, connection) => void play(connection, pieces);
      const client = new RawClient(world.port);
      await client.send(`GET / HTTP/${version}\r\nHost: h\r\nConnection: close\r\n\r\n`);
      await client.ended();
      const { messages, faults } = client.read();
      client.stop();
      if (client.end === 'fin') expect(faults).toEqual([]);
      const final = messages.find((message) => statusOf(message) >= 200);
      if (client.end === 'reset' || final?.complete !== true) return 'broken';
      return statusOf(final) === 502 ? '502' : `${statusOf(final)} ${final.body}`;
    };

    await fc.assert(
      fc.asyncProperty(anyAnswer, fc.array(fc.nat(200), { maxLength: 4 }), async (text, cuts) => {
        const bytes = Buffer.from(text, 'latin1');
        const whole = await got([bytes]);
        expect(await got(cutAt(bytes, cuts))).toBe(whole);
        expect(await got(byteByByte(bytes))).toBe(whole);
        if (whole === '502' || whole === 'broken') return;
        // Whole for the client: then it is whole, with the same body, for the reader that forgives nothing. It takes chunk
        // extensions for a fault, so they are cut out first.
        const final = finalOf(text)?.framing === 'chunked' ? finalOf(text.replaceAll(';x=y', '')) : finalOf(text);
        expect(final?.complete).toBe(true);
        expect(whole).toBe(`${statusOf(final!)} ${final!.body}`);
      }),
      { numRuns: 250 },
    );
    await world.quiet();
    expect(world.exceptions).toBe(0);
    expect(new Set(world.outcomes.map((outcome) => outcome.end))).toContain('ok');
  });
});
