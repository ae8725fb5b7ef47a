/** Bodies of all sizes, both ways, sized and chunked: identical to the last bit, and never held whole. */
import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { type AppNode, startAppNode } from '../helpers/nodes.ts';
import { newHash, patternHash } from '../helpers/pattern.ts';
import { until, within } from '../helpers/poll.ts';
import { get } from '../helpers/raw-client.ts';
import { fileScope, testScope } from '../helpers/scope.ts';
import { download, mirror, upload } from '../helpers/stream-client.ts';
import { kernelRoom } from '../helpers/tcp.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;
/** What a process may grow by while a GiB passes: buffers and garbage, not bodies. */
const allowance = 64 * MiB;
const sizes = [0, 1, 2, 1023, 16_383, 16_384, 65_535, 65_536, 65_537, 131_073, MiB, 16 * MiB + 7];

const scope = fileScope();
let node: AppNode;
let ek: Evenkeel;

beforeAll(async () => {
  node = await startAppNode(scope, 'a');
  ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url] } } });
  await ek.fit(1);
});

const whole = (bytes: number): { bytes: number; sha256: string } => ({ bytes, sha256: patternHash(bytes) });

/** Runs the transfer; gives how far resident memory rose above where it was after a first, smaller one. */
async function growth(transfer: (bytes: number) => Promise<void>, bytes: number): Promise<number> {
  await transfer(128 * MiB);
  const before = ek.residentBytes();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, ek.residentBytes());
  }, 20);
  try {
    await transfer(bytes);
  } finally {
    clearInterval(watch);
  }
  return Math.max(most, ek.residentBytes()) - before;
}

describe('identical to the last bit', () => {
  it.each(sizes)('%i bytes down, sized and chunked', async (bytes) => {
    expect(await download(ek.port, `/big?bytes=${bytes}`)).toEqual({ ...whole(bytes), status: 200, chunked: false });
    expect(await download(ek.port, `/chunked?bytes=${bytes}`)).toMatchObject({ ...whole(bytes), status: 200 });
  });

  it.each(sizes)('%i bytes up, sized and chunked', async (bytes) => {
    expect(await upload(ek.port, '/echo', { bytes, chunked: false })).toEqual({ node: 'a', ...whole(bytes) });
    expect(await upload(ek.port, '/echo', { bytes, chunked: true })).toEqual({ node: 'a', ...whole(bytes) });
  });

  it('up and down at the same time', async () => {
    expect(await mirror(ek.port, 32 * MiB + 3)).toEqual(whole(32 * MiB + 3));
  });

  it('sixteen at once, both ways', async () => {
    const bytes = 4 * MiB + 1;
    const down = Array.from({ length: 8 }, () => download(ek.port, `/chunked?bytes=${bytes}`));
    const up = Array.from({ length: 8 }, () => upload(ek.port, '/echo', { bytes, chunked: true }));
    for (const got of await Promise.all([...down, ...up])) expect(got).toMatchObject(whole(bytes));
  });
});

describe('1 GiB in bounded memory', () => {
  it('down', async () => {
    const rose = await growth(async (bytes) => {
      expect(await download(ek.port, `/big?bytes=${bytes}`)).toMatchObject(whole(bytes));
    }, GiB);
    expect(rose).toBeLessThan(allowance);
  });

  it('up', async () => {
    const rose = await growth(async (bytes) => {
      expect(await upload(ek.port, '/echo', { bytes, chunked: false })).toMatchObject(whole(bytes));
    }, GiB);
    expect(rose).toBeLessThan(allowance);
  });

  it('down to a reader that has stopped reading', async () => {
    const own = testScope();
    const before = ek.residentBytes();
    const sentBefore = (await node.stats()).patternBytes;
    const socket = connect({ port: ek.port, host: '127.0.0.1' });
    own.own({ stop: () => void socket.destroy() });
    // Without a reader Node takes one buffer and stops.
    socket.write(get(`/big?bytes=${GiB}`, 'Connection: close'));
    const stalled = await standsStill(async () => (await node.stats()).patternBytes - sentBefore);
    expect(stalled).toBeLessThan(Math.max(64 * MiB, kernelRoom() + 16 * MiB));
    expect(ek.residentBytes() - before).toBeLessThan(allowance);

    const hash = newHash();
    let bytes = 0;
    let headLeft = '';
    socket.on('data', (chunk: Buffer) => {
      let body = chunk;
      if (bytes === 0 && !headLeft.includes('\r\n\r\n')) {
        headLeft += chunk.toString('latin1');
        const end = headLeft.indexOf('\r\n\r\n');
        if (end < 0) return;
        body = Buffer.from(headLeft.slice(end + 4), 'latin1');
      }
      hash.update(body);
      bytes += body.length;
    });
    await within('the rest', new Promise((resolve) => socket.once('end', resolve)), 180_000);
    expect({ bytes, sha256: hash.digest('hex') }).toEqual(whole(GiB));
    expect(ek.residentBytes() - before).toBeLessThan(allowance);
  });

  it('200 pipelined requests for 2 MiB each, from a client that reads nothing at first', async () => {
    const own = testScope();
    const before = ek.residentBytes();
    const each = 2 * MiB;
    const socket = connect({ port: ek.port, host: '127.0.0.1' });
    own.own({ stop: () => void socket.destroy() });
    const requests = Array.from({ length: 200 }, (_, i) =>
      get(`/big?bytes=${each}`, ...(i === 199 ? ['Connection: close'] : [])),
    );
    socket.write(requests.join(''));
    const requested = await standsStill(async () => (await node.stats()).patternBytes);
    expect(requested).toBeGreaterThan(0);
    expect(ek.residentBytes() - before).toBeLessThan(allowance);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await within('all answers', new Promise((resolve) => socket.once('end', resolve)), 180_000);
    // Heads are small: what is over a multiple of the body's size is theirs.
    const heads = bytes - 200 * each;
    expect(heads).toBeGreaterThan(200 * 50);
    expect(heads).toBeLessThan(200 * 500);
  });

  it('up to a node that has stopped reading', async () => {
    const own = testScope();
    const bytes = 256 * MiB;
    const before = ek.residentBytes();
    const answer = upload(ek.port, '/stall', { bytes, chunked: true });
    own.own({ stop: () => node.release() });
    await until('request at the node', async () => (await node.stats()).held === 1);
    const memory = await standsStill(() => ek.residentBytes());
    expect(memory - before).toBeLessThan(allowance);
    await node.release();
    expect(await answer).toEqual({ node: 'a', ...whole(bytes) });
  });
});

/** Waits until a number has not changed for 20 looks in a row; gives it. */
async function standsStill(look: () => number | Promise<number>): Promise<number> {
  let last = -1;
  let same = 0;
  await until('standstill', async () => {
    const now = await look();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    return same >= 20;
  });
  return last;
}
