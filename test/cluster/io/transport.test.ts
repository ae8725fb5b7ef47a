import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { pieceMax } from '../../../src/cluster/frames/record.ts';
import { welcomeTo } from '../../../src/cluster/io/handshake.ts';
import { clusterTag, Keyring } from '../../../src/cluster/io/keyring.ts';
import { RequestError } from '../../../src/cluster/io/link.ts';
import { openTransport } from '../../../src/cluster/io/transport.ts';
import { transportLimits } from '../../../src/cluster/io/wire.ts';
import { bytes, closeHosts, type Host, host, secret, text, uid, until } from './hosts.ts';

afterEach(closeHosts);

const failureOf = async (request: Promise<Uint8Array>): Promise<string> => {
  try {
    return `answered ${text(await request)}`;
  } catch (error) {
    return error instanceof RequestError ? `${error.code} ${error.sent ? 'sent' : 'unsent'}` : String(error);
  }
};
const soon = { timeoutMs: 20_000 };

describe('binding', () => {
  const open = async (listen: string, keys: Uint8Array[]): Promise<string> => {
    const result = await openTransport({
      ...{ listen, keys, self: { id: uid(1), boot: 1 }, cluster: '' },
      ...{ onDatagram: () => {}, onMessage: () => {}, onRequest: () => new Uint8Array(0) },
    });
    if (result.ok) await result.value.close();
    return result.ok ? 'bound' : result.error;
  };

  it('without a key only loopback', async () => {
    expect(await open('0.0.0.0:0', [])).toMatch(/no key.*0\.0\.0\.0:0.*set cluster\.key.*or bind 127\.0\.0\.1/);
    expect(await open('[::]:0', [])).toMatch(/no key/);
    expect(await open('127.0.0.1:0', [])).toBe('bound');
    expect(await open('localhost:0', [])).toBe('bound');
    expect(await open('0.0.0.0:0', [secret(1)])).toBe('bound');
  });

  it('says what is wrong with an address', async () => {
    const a = await host(1);
    expect(await open(a.address, [])).toMatch(/another process listens there/);
    expect(await open('203.0.113.9:0', [secret(1)])).toMatch(/no such address/);
    expect(await open('7946', [])).toMatch(/not host:port/);
  });
});

describe('messages', () => {
  it('datagrams, messages and requests come through both ways, with who sent them', async () => {
    const [a, b] = [await host(1), await host(2)];
    expect(a.transport.datagram(b.address, bytes('hello'))).toBe(true);
    expect(b.transport.send(a.address, 7, bytes('one way'))).toBe(true);
    expect(text(await a.transport.request(b.address, 8, bytes('echo'), soon))).toBe('echo');
    await until('both came', () => b.datagrams.length === 1 && a.messages.length === 1);
    expect(b.datagrams[0]).toMatchObject({ text: 'hello', from: { id: uid(1), boot: 1, remote: a.address } });
    expect(a.messages[0]).toMatchObject({ kind: 7, from: { id: uid(2), cluster: clusterTag('one') } });
    expect(a.transport.peers()).toMatchObject([{ address: b.address, state: 'open', peer: { id: uid(2) } }]);
    expect(b.transport.guests()).toMatchObject([{ id: uid(1) }]);
  });

  it('keeps one connection per peer', async () => {
    const [a, b] = [await host(1), await host(2)];
    const requests = Array.from({ length: 200 }, (_, n) => a.transport.request(b.address, 1, bytes(String(n)), soon));
    expect((await Promise.all(requests)).map(text)).toEqual(Array.from({ length: 200 }, (_, n) => String(n)));
    expect(a.transport.counts.dials).toBe(1);
    expect(b.transport.guests()).toHaveLength(1);
  });

  it('large messages that are said together all come, each once', async () => {
    const [a, b] = [await host(1), await host(2)];
    const kinds = Array.from({ length: 48 }, (_, n) => n);
    // Before the first is dialled for, and over an open connection.
    for (const round of [1, 2]) {
      for (const kind of kinds) expect(a.transport.send(b.address, kind, new Uint8Array(4 * pieceMax))).toBe(true);
      await until('all came', () => b.messages.length === round * kinds.length);
      expect(b.messages.slice(-kinds.length).map((one) => one.kind)).toEqual(kinds);
    }
    expect(a.transport.counts.unsent).toBe(0);
  });

  it('names are resolved', async () => {
    const [a, b] = [await host(1), await host(2)];
    const named = b.address.replace('127.0.0.1', 'localhost');
    a.transport.datagram(named, bytes('by name'));
    expect(text(await a.transport.request(named, 1, bytes('x'), soon))).toBe('x');
    await until('the datagram came', () => b.datagrams.length === 1);
  });

  it('over IPv6 too; what has no address is counted as not sent', async () => {
    const [a, b] = [await host(1, { listen: '[::1]:0' }), await host(2, { listen: '[::1]:0' })];
    a.transport.datagram(b.address, bytes('six'));
    expect(text(await a.transport.request(b.address, 1, bytes('x'), soon))).toBe('x');
    await until('the datagram came', () => b.datagrams.length === 1);
    expect(b.datagrams[0]?.from.remote).toBe(a.address);
    expect(a.transport.datagram('nowhere', bytes('x'))).toBe(false);
    expect(a.transport.datagram(b.address, new Uint8Array(1401))).toBe(false);
    expect(a.transport.datagram('no-such-name.invalid:1', bytes('x'))).toBe(true);
    await until('all three counted', () => a.transport.counts.unsent === 3);
  });

  it('nothing is sent to port 0, from which a forged datagram may come', async () => {
    const a = await host(1);
    expect(a.transport.datagram('127.0.0.1:0', bytes('ack'))).toBe(false);
    expect(a.transport.counts).toMatchObject({ unsent: 1, datagramsOut: 0 });
  });

  it('a large message goes in pieces, and small ones overtake it', async () => {
    const [a, b] = [await host(1), await host(2)];
    const large = Buffer.alloc(pieceMax * 300 + 17);
    for (let i = 0; i < large.byteLength; i += 97) large[i] = i % 251;
    a.transport.send(b.address, 1, large);
    a.transport.send(b.address, 2, bytes('heartbeat'));
    await until('both came', () => b.messages.length === 2);
    expect(b.messages.map((one) => one.kind)).toEqual([2, 1]);
    expect(large.equals(b.messages[1]!.bytes)).toBe(true);
    const echoed = await b.transport.request(a.address, 3, large, soon);
    expect(large.equals(echoed)).toBe(true);
  });

  it('a handler that throws is a refusal with its words', async () => {
    const a = await host(1);
    const b = await host(2, { onRequest: () => Promise.reject(new Error('not the leader\n\u001b[2J')) });
    const request = a.transport.request(b.address, 1, bytes('x'), soon);
    await expect(request).rejects.toThrow(/refused: not the leader\?\?\[2J/);
    expect(await failureOf(a.transport.request(b.address, 1, bytes('x'), soon))).toBe('refused sent');
  });

  it('says whether what failed was sent', async () => {
    const a = await host(1);
    const b = await host(2, { onRequest: () => new Promise(() => {}) });
    a.transport.send(b.address, 1, bytes('x'));
    await until('they are connected', () => b.messages.length === 1);
    expect(await failureOf(a.transport.request(b.address, 1, bytes('x'), { timeoutMs: 50 }))).toBe('timeout sent');
    const cut = failureOf(a.transport.request(b.address, 1, bytes('x'), soon));
    await until('it is there', () => b.transport.guests().length === 1);
    await b.transport.close();
    expect(await cut).toBe('closed sent');
    expect(await failureOf(a.transport.request(b.address, 1, bytes('x'), soon))).toBe('unreachable unsent');
    expect(await failureOf(a.transport.request('no address', 1, bytes('x'), soon))).toBe('unreachable unsent');
    await a.transport.close();
    expect(await failureOf(a.transport.request(b.address, 1, bytes('x'), soon))).toBe('unreachable unsent');
    expect(a.transport.send(b.address, 1, bytes('x'))).toBe(false);
  });

  it('dials again by itself when the peer is back, with a bounded number of attempts', async () => {
    const a = await host(1);
    let b = await host(2);
    a.transport.send(b.address, 1, bytes('first'));
    await until('first', () => b.messages.length === 1);
    await b.transport.close();
    const started = performance.now();
    const trying = setInterval(() => a.transport.send(b.address, 1, bytes('again')), 1);
    await until('it failed a few times', () => a.transport.counts.dialsFailed >= 4);
    // 50, 100, 200, 400 ms, of which at least the half is waited.
    expect(a.transport.counts.dials).toBeLessThanOrEqual(3 + (performance.now() - started) / 25);
    b = await host(2, { listen: b.address, self: { id: uid(2), boot: 2 } });
    await until('again', () => b.messages.length > 0);
    clearInterval(trying);
    expect(a.transport.peers()[0]?.peer).toMatchObject({ id: uid(2), boot: 2 });
    const port = b.address.split(':').at(-1);
    expect(a.lines.filter((line) => line.includes('ECONNREFUSED'))).toEqual([
      `127.0.0.1: can't be reached on port ${port}: ECONNREFUSED`,
    ]);
  });

  it('what waits for a peer that is being dialled is bounded, the oldest goes', async () => {
    const outbox = { smallBytes: 10_000, smallCount: 10, largeBytes: 10_000, largeCount: 1 };
    const [a, b] = [await host(1, { limits: { outbox } }), await host(2)];
    a.transport.send(b.address, 255, bytes('kept'), { droppable: false });
    for (let n = 0; n < 100; n++) a.transport.send(b.address, n, bytes('x'));
    expect(a.transport.peers()[0]?.waiting).toBe(10);
    expect(a.transport.counts.unsent).toBe(91);
    await until('the newest came', () => b.messages.length === 10);
    expect(b.messages.map((one) => one.kind)).toEqual([255, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  });
});

describe('keys and clusters', () => {
  const speaks = async (a: Host, b: Host): Promise<string> =>
    failureOf(a.transport.request(b.address, 1, bytes('x'), { timeoutMs: 3000 }));

  it('another key is refused on both sides, and both say so', async () => {
    const [a, b] = [await host(1), await host(2, { keys: [secret(2)] })];
    expect(await speaks(a, b)).toBe('unreachable unsent');
    expect(b.transport.counts.dropped.key).toBe(1);
    expect(b.lines.join()).toMatch(/127\.0\.0\.1: dropped a frame sealed with a key that is not ours/);
    expect(a.lines.join()).toMatch(/can't be reached on port \d+: it ended the handshake: look at its log/);
  });

  it('another cluster is refused and told of; a member without one is let in and shows it', async () => {
    const [a, b] = [await host(1, { cluster: 'two' }), await host(2)];
    expect(await speaks(a, b)).toBe('unreachable unsent');
    expect(b.foreign).toMatchObject([{ id: uid(1), cluster: clusterTag('two') }]);
    const joiner = await host(3, { cluster: '' });
    expect(await speaks(joiner, b)).toBe('answered x');
    expect(b.transport.guests()).toMatchObject([{ id: uid(3), cluster: '000000000000' }]);
    joiner.transport.useCluster('one');
    await until('it dials again', () => b.transport.guests().length === 0);
    await until('it speaks', () => joiner.transport.send(b.address, 1, bytes('x')));
    await until('as a member', () => b.transport.guests()[0]?.cluster === clusterTag('one'));
    joiner.transport.datagram(b.address, bytes('gossip'));
    await until('gossip', () => b.datagrams.length === 1);
    expect(b.datagrams[0]?.from.cluster).toBe(clusterTag('one'));
  });

  it('who came from another cluster before this member had one is shown out', async () => {
    const [a, b] = [await host(1, { cluster: 'two' }), await host(2, { cluster: '' })];
    const joiner = await host(3, { cluster: '' });
    expect([await speaks(a, b), await speaks(joiner, b)]).toEqual(['answered x', 'answered x']);
    b.transport.useCluster('one');
    expect(b.transport.guests()).toMatchObject([{ id: uid(3) }]);
  });

  it('a key is changed while members speak; a connection under a key that is gone ends', async () => {
    const [a, b] = [await host(1), await host(2)];
    expect(await speaks(a, b)).toBe('answered x');
    b.transport.useKeys([secret(1), secret(2)]);
    a.transport.useKeys([secret(2), secret(1)]);
    a.transport.datagram(b.address, bytes('new key'));
    await until('it is heard', () => b.datagrams.length === 1);
    expect(await speaks(a, b)).toBe('answered x');
    expect(a.transport.counts.dials).toBe(1);
    b.transport.useKeys([secret(2)]);
    await until('the old connection ends', () => a.transport.peers()[0]?.state !== 'open');
    await until('they speak again', () => a.transport.send(b.address, 1, bytes('x')));
    await until('it came', () => b.messages.length >= 1);
    expect(() => a.transport.useKeys([])).toThrow(/keep one/);
  });

  it('a connection that was begun under a key that is gone by now is not opened', async () => {
    const a = await host(1);
    let dialled = 0;
    const server = createServer((socket) => {
      dialled += 1;
      socket.on('error', () => {});
      socket.once('data', (hello: Buffer) => {
        const self = { id: uid(2), boot: 1 };
        const welcoming = welcomeTo(hello, { keys: new Keyring([secret(1)]), self, cluster: clusterTag('one') });
        a.transport.useKeys([secret(2)]);
        if (welcoming.ok) socket.write(welcoming.value.welcome);
        else socket.destroy();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const to = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    a.transport.send(to, 1, bytes('secret'));
    await until('it came to an end', () => dialled > 0 && a.transport.peers()[0]?.state !== 'dialling');
    expect(a.transport.peers()[0]?.state).toBe('resting');
    expect(a.transport.counts.dropped.key).toBe(1);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  it('nobody speaks with itself', async () => {
    const a = await host(1);
    expect(await speaks(a, a)).toBe('unreachable unsent');
    expect(a.transport.counts.dropped.reflected).toBe(1);
  });
});

describe('peers that stand still', () => {
  it('a peer that does not answer pings is dropped', async () => {
    const a = await host(1, { limits: { pongMs: 100 } });
    const still = await stillPeer();
    // It goes out as soon as they are connected.
    expect(await failureOf(a.transport.request(still.address, 1, bytes('x'), soon))).toBe('closed sent');
    await until('the connection is given up', () => a.transport.peers()[0]?.state === 'resting');
    still.server.close();
  });

  it('a connection that nobody uses is closed', async () => {
    const [a, b] = [await host(1, { limits: { idleMs: 50, pongMs: 100 } }), await host(2)];
    a.transport.send(b.address, 1, bytes('x'));
    await until('it came', () => b.messages.length === 1);
    await until('it is closed', () => a.transport.peers().length === 0 && b.transport.guests().length === 0);
    expect(transportLimits.idleMs).toBeGreaterThan(1000);
  });
});

/** A member that proves the key and then stands still: its sockets stay open, nothing is read or answered. */
async function stillPeer(): Promise<{ readonly server: Server; readonly address: string }> {
  const identity = { keys: new Keyring([secret(1)]), self: { id: uid(9), boot: 1 }, cluster: clusterTag('one') };
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (hello: Buffer) => {
      const welcoming = welcomeTo(hello, identity);
      if (welcoming.ok) socket.write(welcoming.value.welcome);
      socket.pause();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, address: `127.0.0.1:${(server.address() as AddressInfo).port}` };
}
