/** Bodies in both directions: back-pressure with bounded memory, nobody's bytes mixed up, answers that come early. */
import { connect, createServer, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { newHash, patternBlocks, patternHash } from '../../helpers/pattern.ts';
import { pause, until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { get } from '../../helpers/raw-client.ts';
import { sayWhat, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { kernelRoom } from '../../helpers/tcp.ts';
import { settings } from '../../routing/fixtures.ts';
import { startWorld } from '../world.ts';

const MiB = 1024 * 1024;
const large = 128 * MiB;
/** What the kernel may hold in the buffers of two loopback connections, and then some. */
const inKernel = Math.max(24 * MiB, kernelRoom() + 4 * MiB);

/** A node of which only the sockets are given. */
async function plainNode(scope: Scope, onSocket: (socket: Socket) => void): Promise<{ readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  scope.own({
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return { port };
}

function dial(scope: Scope, port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  scope.own({ stop: () => void socket.destroy() });
  return socket;
}

/** Writes blocks as fast as they are taken. */
async function pour(socket: Socket, blocks: Iterable<Buffer>, frame = (block: Buffer): Buffer => block): Promise<void> {
  for (const block of blocks) {
    if (socket.destroyed) return;
    if (!socket.write(frame(block))) await new Promise<void>((resolve) => socket.once('drain', resolve));
  }
}

const left = (socket: Socket): number => socket.bytesWritten - socket.writableLength;

/** Waits until no more bytes leave the socket, for so many looks in a row. */
async function stalled(socket: Socket): Promise<number> {
  let seen = -1;
  let same = 0;
  await until('no more bytes leave', () => {
    const now = left(socket);
    same = now === seen && now > 0 ? same + 1 : 0;
    seen = now;
    return same >= 20;
  });
  return seen;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in buffers that somebody still holds; what is let go is given back a moment later. */
function buffers(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

describe('a client that does not read its answer of 128 MiB', () => {
  const chunk = (block: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${block.length.toString(16)}\r\n`), block, Buffer.from('\r\n')]);
  const bare = (block: Buffer): Buffer => block;
  it.each([
    ['sized', `Content-Length: ${large}`, bare, '', 'HTTP/1.1'],
    ['chunked', 'Transfer-Encoding: chunked', chunk, '0\r\n\r\n', 'HTTP/1.1'],
    ['chunked, unwrapped for HTTP/1.0', 'Transfer-Encoding: chunked', chunk, '0\r\n\r\n', 'HTTP/1.0'],
    ['until close', 'A: b', bare, '', 'HTTP/1.0'],
  ])('%s: holds the node back with bounded memory, then gets every byte', async (_, line, frame, tail, version) => {
    const scope = testScope();
    let source: Socket | undefined;
    const node = await plainNode(scope, (socket) => {
      socket.once('data', async () => {
        source = socket;
        socket.write(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`);
        await pour(socket, patternBlocks(large), frame);
        if (!socket.destroyed) socket.end(tail);
      });
    });
    const world = await startWorld(scope, [node]);
    const before = buffers();
    const client = dial(scope, world.port);
    client.pause();
    client.write(`GET / ${version}\r\nHost: h\r\n\r\n`);
    await until('an answer', () => source !== undefined);
    expect(await stalled(source!)).toBeLessThan(inKernel);
    await until('little memory held', () => buffers() - before < 8 * MiB, { everyMs: 50 });
    expect(await digest(client, version === 'HTTP/1.1' && line.startsWith('Transfer'))).toEqual([
      large,
      patternHash(large),
    ]);
    client.destroy();
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ end: 'ok' }]);
  });
});

/** Reads an answer to its end; gives the length and hash of its body. */
function digest(socket: Socket, isChunked: boolean): Promise<[number, string]> {
  const hash = newHash();
  let length = 0;
  let head = '';
  let inBody = false;
  let chunkLeft = 0;
  let line = '';
  return new Promise((resolve) => {
    const done = (): void => resolve([length, hash.digest('hex')]);
    const take = (bytes: Buffer): void => {
      hash.update(bytes);
      length += bytes.length;
    };
    const takeChunks = (bytes: Buffer): void => {
      for (let at = 0; at < bytes.length; ) {
        if (chunkLeft > 0) {
          const to = Math.min(bytes.length, at + chunkLeft);
          take(bytes.subarray(at, to));
          chunkLeft -= to - at;
          at = to;
        } else {
          line += String.fromCharCode(bytes[at++]!);
          if (!line.endsWith('\n') || line === '\r\n') {
            if (line === '\r\n') line = '';
            continue;
          }
          chunkLeft = Number.parseInt(line, 16);
          line = '';
          if (chunkLeft === 0) return done();
        }
      }
    };
    socket.on('data', (bytes) => {
      let body = bytes;
      if (!inBody) {
        head += bytes.latin1Slice();
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        inBody = true;
        body = Buffer.from(head.slice(end + 4), 'latin1');
      }
      if (isChunked) takeChunks(body);
      else take(body);
      if (!isChunked && length === large) done();
    });
    socket.on('end', done);
    socket.resume();
  });
}

describe('a node that does not read its request of 128 MiB', () => {
  it.each([
    ['sized', `Content-Length: ${large}`],
    ['chunked', 'Transfer-Encoding: chunked'],
  ])('%s: holds the client back with bounded memory, then gets every byte', async (kind, line) => {
    const scope = testScope();
    let sink: Socket | undefined;
    let received = 0;
    const hash = newHash();
    const node = await plainNode(scope, (socket) => {
      socket.once('data', (first) => {
        sink = socket;
        const end = first.indexOf('\r\n\r\n') + 4;
        const take = (bytes: Buffer): void => {
          received += bytes.length;
          hash.update(bytes);
        };
        take(first.subarray(end));
        socket.pause();
        socket.on('data', take);
        socket.pause();
      });
    });
    const world = await startWorld(scope, [node]);
    const before = buffers();
    const client = dial(scope, world.port);
    client.write(`POST / HTTP/1.1\r\nHost: h\r\n${line}\r\n\r\n`);
    const coded = kind === 'chunked' ? `${large.toString(16)}\r\n` : '';
    const tail = kind === 'chunked' ? '\r\n0\r\n\r\n' : '';
    if (coded !== '') client.write(coded);
    const poured = pour(client, patternBlocks(large)).then(() => void client.write(tail));
    await until('it at the node', () => sink !== undefined);
    expect(await stalled(client)).toBeLessThan(inKernel);
    await until('little memory held', () => buffers() - before < 8 * MiB, { everyMs: 50 });
    sink!.resume();
    await poured;
    const all = large + coded.length + tail.length;
    await until('all at the node', () => received === all);
    const expected = newHash().update(coded);
    for (const block of patternBlocks(large)) expected.update(block);
    expect(hash.digest('hex')).toBe(expected.update(tail).digest('hex'));
    sink!.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await until('the answer', () => client.bytesRead > 0);
    client.destroy();
    await world.quiet();
  });
});

describe('many clients that read in fits and starts', () => {
  it('each get their own bytes, and all of them', async () => {
    const scope = testScope();
    const size = 2 * MiB;
    const node = await plainNode(scope, (socket) => {
      socket.on('data', async (bytes) => {
        const name = Number(/^GET \/(\d+) /.exec(bytes.latin1Slice())?.[1]);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        const block = Buffer.alloc(65_521, name);
        const blocks = Array.from({ length: Math.ceil(size / block.length) }, (_, i) =>
          block.subarray(0, Math.min(block.length, size - i * block.length)),
        );
        await pour(socket, blocks);
      });
    });
    const world = await startWorld(scope, [node]);
    const one = async (name: number): Promise<void> => {
      const socket = dial(scope, world.port);
      const own = Buffer.alloc(MiB, name);
      for (let round = 0; round < 2; round++) {
        let got = 0;
        let started = false;
        await new Promise<void>((resolve, reject) => {
          const onData = (chunk: Buffer): void => {
            const body = started ? chunk : chunk.subarray(chunk.indexOf('\r\n\r\n') + 4);
            started = true;
            if (!body.equals(own.subarray(0, body.length))) reject(new Error(`client ${name} got another's bytes`));
            got += body.length;
            if ((got + name) % 3 === 0) {
              socket.pause();
              setImmediate(() => socket.resume());
            }
            if (got < size) return;
            socket.off('data', onData);
            if (got > size) reject(new Error(`client ${name} got ${got} bytes`));
            else resolve();
          };
          socket.on('data', onData);
          socket.on('close', () => reject(new Error(`client ${name} was cut`)));
          socket.write(get(`/${name}`));
        });
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, i) => one(i + 1)));
    await world.quiet(16);
    expect(world.outcomes.every((outcome) => outcome.end === 'ok')).toBe(true);
  });
});

const post = (length: number, ...lines: readonly string[]): string =>
  ['POST / HTTP/1.1', 'Host: ek.test', `Content-Length: ${length}`, ...lines, '', ''].join('\r\n');

describe('Expect: 100-continue (H6)', () => {
  const expecting = post(5, 'Expect: 100-continue');

  it("goes to the node, and the node's 100 to the client, before any of the body", async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node]);
    const client = world.client();
    await client.send(expecting);
    const connection = await until('the head at the node', () => node.connections[0]);
    await until('it whole', () => connection.tail.endsWith('\r\n\r\n'));
    expect(connection.tail).toContain('Expect: 100-continue\r\n');
    connection.write('HTTP/1.1 100 Continue\r\n\r\n');
    await client.sees('HTTP/1.1 100 Continue\r\n\r\n');
    await client.send('hello');
    const [answer] = await client.answers(1);
    expect([statusOf(answer!), answer!.body]).toEqual([200, 'POST /']);
    expect(connection.requests[0]!.body).toBe('hello');
    await client.send(get('/2'));
    expect((await client.answers(2))[1]!.body).toBe('GET /2');
    expect(node.connections).toHaveLength(1);
  });

  it('a final status without 100 closes both connections, unless the body has come whole', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node]);
    const client = world.client();
    await client.send(expecting);
    const connection = await until('the head at the node', () => node.connections[0]);
    await until('it whole', () => connection.tail.endsWith('\r\n\r\n'));
    connection.write('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno');
    const [answer] = await client.answers(1);
    expect([statusOf(answer!), field(answer!, 'connection')]).toEqual([401, 'close']);
    await until('end at the node', () => connection.end !== 'open');
    expect(await client.ended()).toBe('fin');
    client.stop();

    const other = world.client();
    await other.send(`${expecting}hello${get('/2')}`);
    expect((await other.answers(2)).map((one) => one.body)).toEqual(['POST /', 'GET /2']);
  });

  it('what was told to go on is not sent again', async () => {
    const scope = testScope();
    const nodes = [await startRawNode(scope), await startRawNode(scope)];
    for (const node of nodes) {
      node.onConnection = ({ socket }) => socket.once('data', () => socket.write('HTTP/1.1 100 Continue\r\n\r\n'));
      node.respond = (_request, { socket }) => socket.resetAndDestroy();
    }
    const retry = { attempts: 3, budget: 0.2, methods: ['POST'], statuses: [], buffer: 65_536, backoff: 1 };
    const world = await startWorld(scope, nodes, { pool: { retry } });
    const client = world.client();
    await client.send(expecting);
    await client.sees('100 Continue');
    await client.send('hello');
    expect((await client.answers(1)).map(statusOf)).toEqual([502]);
    expect(nodes.flatMap((node) => node.requests())).toHaveLength(1);
  });
});

describe('an answer that comes before the body has', () => {
  it('of the node: passed on whole, then closed, though the client goes on sending (F12)', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.onConnection = ({ socket }) =>
      socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much'));
    const world = await startWorld(scope, [node]);
    const client = world.client();
    await client.send(post(large));
    const block = 'x'.repeat(65_536);
    for (let i = 0; i < 20 && client.end === 'open'; i++) {
      await client.send(block);
      await pause(0);
    }
    const [answer] = await client.answers(1);
    expect([statusOf(answer!), answer!.body, field(answer!, 'connection')]).toEqual([413, 'too much', 'close']);
    await until('end at the node', () => node.connections[0]!.end !== 'open');
    client.stop();
    await world.quiet();
    expect(world.outcomes).toMatchObject([{ status: 413, end: 'ok' }]);
  });

  it.each([
    ['sized', (): string => post(10 * MiB)],
    ['chunked', (): string => 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na00000\r\n'],
  ])('of our own: a %s body over maxBody is 413, read by a client that goes on sending', async (_, head) => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const world = await startWorld(scope, [node], {
      settings: { limits: { ...settings.limits, maxBody: 100_000 } },
    });
    const client = world.client();
    await client.send(head());
    for (let i = 0; i < 12 && client.end === 'open'; i++) {
      await client.send('x'.repeat(65_536));
      await pause(0);
    }
    const [answer] = await client.answers(1);
    expect([statusOf(answer!), field(answer!, 'connection')]).toEqual([413, 'close']);
    client.stop();
    await world.quiet();
    expect(node.requests()).toEqual([]);
  });

  it('a body of exactly maxBody passes', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.respond = sayWhat;
    const world = await startWorld(scope, [node], { settings: { limits: { ...settings.limits, maxBody: 5 } } });
    const client = world.client();
    await client.send(`${post(5)}hello`);
    expect((await client.answers(1)).map(statusOf)).toEqual([200]);
  });
});
