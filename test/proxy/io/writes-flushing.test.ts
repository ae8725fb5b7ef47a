/** A write counts until the kernel has its answer whole: behind slow clients and behind TLS; and what never pays for it. */
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { PrimaryBoard } from '../../../src/scoreboard/primary.ts';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { ask, get, RawClient } from '../../helpers/raw-client.ts';
import { fileScope, testScope } from '../../helpers/scope.ts';
import { makeCertificate, type Pem, tlsOf } from '../../helpers/tls.ts';
import { type PrimaryWorld, post, primaryWorld, received } from '../primary-world.ts';

const head = (size: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`;

/** A client that reads nothing, and the number of bytes that its answer has brought so far. */
async function silent(made: PrimaryWorld, target: string): Promise<RawClient> {
  const client = made.world.client();
  await client.connected;
  client.socket.pause();
  await client.send(post(target));
  return client;
}

/** How much of an endless answer the kernel, and we, take for a client that reads nothing. */
async function room(made: PrimaryWorld): Promise<number> {
  made.nodes[0]!.respond = (_request, connection) => connection.write(head(1e9) + 'x'.repeat(64 * 1024 * 1024));
  const client = await silent(made, '/endless');
  let before = -1;
  for (let same = 0; same < 4; ) {
    await pause(150);
    const now = made.world.count('bytesIn');
    same = now > 0 && now === before ? same + 1 : 0;
    before = now;
  }
  client.stop();
  await until('left', () => made.writing === 0);
  return before;
}

/** A client that reads nothing of an answer of so many bytes, whose exchange is over while we still hold some; or null. */
async function waiting(made: PrimaryWorld, size: number): Promise<{ client: RawClient; size: number } | null> {
  made.nodes[0]!.respond = (_request, connection) => connection.write(head(size) + 'x'.repeat(size));
  const seen = made.world.outcomes.length;
  const client = await silent(made, `/${size}`);
  const over = (): boolean => made.world.outcomes.length > seen;
  const isOver = await until('over', over, { withinMs: 1000 }).catch(() => false);
  if (isOver && made.writing > 0) return { client, size };
  client.stop();
  await until('left', () => made.writing === 0);
  return null;
}

describe('an answer that the kernel has not taken whole', () => {
  it('is a write though its exchange is over, and is cut with the lease', { timeout: 180_000 }, async () => {
    const made = await primaryWorld();
    made.lease(0, 1);
    // How much the kernel takes is not the same each time; the last piece must be what waits: less than that for which
    // we would stop reading.
    for (let looks = 0; looks < 8; looks++) {
      const bound = await room(made);
      for (let back = 8; back < 160; back += 8) {
        const found = await waiting(made, bound - back * 1024);
        if (found === null) continue;
        expect(made.world.outcomes.at(-1)).toMatchObject({ end: 'ok', epoch: 1 });
        made.park(0, 1, 0);
        await until('cut', () => made.writing === 0);
        found.client.socket.resume();
        expect(await found.client.ended()).toBe('reset');
        expect(found.client.received.length).toBeLessThan(found.size);
        await made.quiet();
        return;
      }
    }
    expect.fail('no answer ended in our own queue');
  });
});

describe('over TLS', () => {
  const shared = fileScope();
  let pem: Pem;
  beforeAll(async () => {
    pem = await makeCertificate(await shared.folder(), 'one.test', { names: ['one.test'] });
  });

  async function secure(made: PrimaryWorld): Promise<{ tls: number }> {
    const port = await freePort();
    await made.world.engine.listen({
      slot: 1,
      name: 'secure',
      address: { kind: 'tcp', host: '127.0.0.1', port },
      tls: tlsOf([{ ...pem, names: ['one.test'] }]),
      sockets: 1,
      reusePort: false,
    });
    return { tls: port };
  }

  it('a write is given back once its answer is out; its token is for TLS alone', async () => {
    const made = await primaryWorld({ ownReads: { mode: 'session' } });
    made.lease(0, 1);
    const where = await secure(made);
    const answer = await ask(where, post('/w'));
    expect(statusOf(answer)).toBe(200);
    expect(field(answer, 'set-cookie')).toContain('; Secure');
    await made.quiet();
  });

  it('a write is cut, and answered by us', async () => {
    const made = await primaryWorld();
    made.nodes[0]!.respond = () => {};
    made.lease(0, 1);
    const client = made.scope.own(new RawClient(await secure(made)));
    await client.send(post('/w'));
    await until('sent', () => received(made.nodes[0]!).length === 1);
    made.lease(1, 2);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(504);
    await made.quiet();
  });
});

describe('a pool without a primary', () => {
  it('never looks at the board of primaries', async () => {
    testScope();
    const made = await primaryWorld();
    made.world.swap({ primary: null });
    const looks = (['read', 'slotOf', 'reader', 'position', 'era', 'forks', 'passed', 'notePassed'] as const).map(
      (name) => vi.spyOn(PrimaryBoard.prototype, name),
    );
    const counts = (): number => looks.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    try {
      for (const text of [get('/r'), post('/w', 'body')]) expect(statusOf(await ask(made.world.port, text))).toBe(200);
      expect(counts()).toBe(0);
      // The spies do see.
      made.world.swap();
      made.lease(0, 1);
      await ask(made.world.port, post('/w'));
      expect(counts()).toBeGreaterThan(1);
    } finally {
      for (const spy of looks) spy.mockRestore();
    }
  });
});
