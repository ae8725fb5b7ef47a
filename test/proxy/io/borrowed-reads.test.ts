/** Clients' sockets read into one buffer: what of it must outlive a read is nobody else's. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { beforeAll, expect, it } from 'vitest';
import type { TlsMaterial } from '../../../src/config/model.ts';
import { BorrowedReads, borrowedReadsWork } from '../../../src/proxy/io/borrowed-reads.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { type RawNode, startRawNode } from '../../helpers/raw-node.ts';
import { fileScope, testScope } from '../../helpers/scope.ts';
import { makeCertificate, tlsOf } from '../../helpers/tls.ts';
import { startWorld, type WorldOptions } from '../world.ts';

const shared = fileScope();
let material: TlsMaterial;
beforeAll(async () => {
  const names = ['one.test'];
  material = tlsOf({ ...(await makeCertificate(await shared.folder(), 'one.test', { names })), names });
});

/** A world whose only listener is plain, or TLS; and how to connect to it. */
async function startOver(over: 'tcp' | 'tls', node: RawNode, options: WorldOptions = {}) {
  const scope = testScope();
  const world = await startWorld(scope, [node], options);
  if (over === 'tcp') return { world, dial: () => connect({ port: world.port, host: '127.0.0.1', noDelay: true }) };
  const port = await freePort();
  const address = { kind: 'tcp', host: '127.0.0.1', port } as const;
  await world.engine.listen({ slot: 1, name: 'secure', address, tls: material, sockets: 1, reusePort: false });
  const dial = (): Socket => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  return { world, dial };
}

it.each(['tcp', 'tls'] as const)('this version of Node can do it over %s, and an engine does', async (over) => {
  expect(await borrowedReadsWork(over)).toBe(true);
  const { world } = await startOver(over, await startRawNode(testScope()));
  expect(world.events.filter(({ event }) => event === 'reads-not-borrowed')).toEqual([]);
});

it('a socket that is none of the system’s reads as ever', () => {
  const reads = BorrowedReads.into(Buffer.alloc(10), () => true)!;
  expect(
    reads.begin(
      connect({ port: 1, host: '127.0.0.1' })
        .on('error', () => {})
        .destroy(),
    ),
  ).toBe(false);
});

it.each(['tcp', 'tls'] as const)(
  'bodies, requests ahead of their turn, and heads in parts, over %s: a node’s bytes are its client’s',
  async (over) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const { dial } = await startOver(over, node, {
      pool: { limits: { maxConnections: 4, maxPending: 1000, queueTimeout: 60_000 } },
    });
    const count = 40;
    const sizes = [1, 700, 5000, 40_000];
    const expected: string[] = [];
    // Four have a place at the node at a time: the others' bytes are kept meanwhile.
    const sockets = Array.from({ length: count }, (_, index) => {
      const body = String.fromCharCode(0x21 + index).repeat(sizes[index % sizes.length]!);
      const ahead = `GET /ahead-${index} HTTP/1.1\r\nHost: h\r\nX-Fill: ${String.fromCharCode(0x21 + index).repeat(300)}\r\n\r\n`;
      expected.push(`POST /${index} ${body}`);
      const socket = dial();
      scope.own({ stop: () => void socket.destroy() });
      const text = `POST /${index} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}${ahead}`;
      let got = '';
      socket.on('data', (bytes) => {
        got += bytes.toString('latin1');
      });
      return { index, socket, text, at: 0, got: () => got };
    });
    // In turns, in pieces that end anywhere.
    for (let turn = 0; sockets.some(({ at, text }) => at < text.length); turn++) {
      for (const one of sockets) {
        const size = 1 + ((turn * 37 + one.index * 101) % 9000);
        if (one.at < one.text.length) one.socket.write(one.text.slice(one.at, one.at + size), 'latin1');
        one.at += size;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until('all answers', () => sockets.every(({ got, index }) => got().includes(`GET /ahead-${index}`)));
    for (const { got, index } of sockets) expect(got()).toContain(`POST /${index}`);
    const requests = node.connections.flatMap((connection) => connection.requests);
    const posts = requests.filter(({ start }) => start.startsWith('POST'));
    expect(posts.map(({ start, body }) => `${start.slice(0, start.lastIndexOf(' '))} ${body}`).sort()).toEqual(
      expected.sort(),
    );
    expect(node.connections.flatMap((connection) => connection.faults)).toEqual([]);
  },
);

it.each(['tcp', 'tls'] as const)(
  'uploads over %s to a node that often reads nothing: no part is overwritten',
  async (over) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const { dial } = await startOver(over, node);
    let reads = true;
    const timer = setInterval(() => {
      reads = !reads;
      for (const { socket } of node.connections) {
        if (reads) socket.resume();
        else socket.pause();
      }
    }, 7);
    scope.own({ stop: () => clearInterval(timer) });
    // Below and above what is read apart, sized and chunked.
    const sizes = [30_000, 65_000, 400_000, 1_500_000];
    const bodies = Array.from({ length: 12 }, (_, index) => {
      const size = sizes[index % sizes.length]!;
      // Each place of each body has a text of its own.
      return Array.from({ length: size / 10 }, (_, at) => `${index}.${at}.`.padEnd(10, '-')).join('');
    });
    const answers = bodies.map((body, index) => {
      const socket = dial();
      scope.own({ stop: () => void socket.destroy() });
      const chunked = index % 2 === 1;
      const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
      const coded = chunked ? `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n` : body;
      socket.write(`POST /${index} HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n${coded}`, 'latin1');
      return new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
    });
    await Promise.all(answers);
    const requests = node.connections.flatMap((connection) => connection.requests);
    expect(requests.length).toBe(bodies.length);
    for (const { start, body } of requests) {
      const sent = bodies[Number(/\d+/.exec(start)![0])]!;
      // Not toBe(): nobody wants to see the difference of two such texts.
      expect(body === sent, start).toBe(true);
    }
  },
);
