/** Clients' sockets read into one buffer: what of it must outlive a read is nobody else's. */
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { BorrowedReads, borrowedReadsWork } from '../../../src/proxy/io/borrowed-reads.ts';
import { until } from '../../helpers/poll.ts';
import { startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { startWorld } from '../world.ts';

it('this version of Node can do it, and an engine does', async () => {
  expect(await borrowedReadsWork()).toBe(true);
  const scope = testScope();
  const world = await startWorld(scope, [await startRawNode(scope)]);
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

it('bodies, requests ahead of their turn, and heads in parts: each node’s bytes are those of its client', async () => {
  const scope = testScope();
  const node = await startRawNode(scope);
  const world = await startWorld(scope, [node], {
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
    const socket = connect({ port: world.port, host: '127.0.0.1', noDelay: true });
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
});
