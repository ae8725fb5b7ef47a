/** Limits per client address with real processes: one address takes too much, the others don't notice. */
import { describe, expect, it } from 'vitest';
import type { RefusalReason } from '../../src/scoreboard/layout.ts';
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { statusOf } from '../helpers/http-bytes.ts';
import { Load } from '../helpers/load.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { type Scope, testScope } from '../helpers/scope.ts';
import { makeCertificate } from '../helpers/tls.ts';

/** So slow that nothing is made good within a test. */
const rate = (burst: number) => ({ perSecond: 0.001, burst });
const greedy = '127.0.0.66';

async function start(perAddress: Settings, rest: Settings = {}, options: { readonly composed?: boolean } = {}) {
  const scope = testScope();
  const node = await startAppNode(scope, 'a');
  const settings = { workers: 2, limits: { perAddress }, pools: { app: { nodes: [node.url] } }, ...rest };
  const ek = await startEvenkeel(scope, settings, options);
  await ek.fit(1);
  return { scope, ek, node, settings };
}

const refused = async (ek: Evenkeel, reason: RefusalReason): Promise<number> => (await ek.stats()).refused[reason] ?? 0;

const metric = async (ek: Evenkeel, name: string): Promise<number> => {
  const text = await (await ek.admin('/metrics')).text();
  const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (values.length === 0) throw new Error(`no metric ${name}`);
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
};

/** Opens connections one after the other and asks once on each; those that were answered 200 stay open. */
async function open(scope: Scope, ek: Evenkeel, count: number): Promise<{ served: RawClient[]; refused: number }> {
  const served: RawClient[] = [];
  let refused = 0;
  for (let i = 0; i < count; i++) {
    const client = scope.own(new RawClient({ port: ek.port, from: greedy }));
    await client.send(get('/'));
    await client.sees('HTTP/1.1 ');
    await client.sees('\r\n');
    if (client.received.startsWith('HTTP/1.1 200 ')) served.push(client);
    else if (client.received.startsWith('HTTP/1.1 503 ')) refused++;
  }
  return { served, refused };
}

describe('one greedy address, two data threads', () => {
  it('has the connections that one may have, wherever they land; load of another goes on without a fault', async () => {
    const { scope, ek } = await start({ connections: 12, newConnections: rate(1000) });
    const load = scope.own(new Load({ port: ek.port, clients: 8 }));
    await until('load', () => load.answered > 100);
    const first = await open(scope, ek, 40);
    expect([first.served.length, first.refused]).toEqual([12, 28]);
    expect(await refused(ek, 'address-connections')).toBe(28);
    const { threads } = await ek.stats();
    expect(threads.every((thread) => thread.connections > 0)).toBe(true);
    for (const client of first.served.splice(0, 5)) client.stop();
    const room = async () => (await ek.stats()).threads.reduce((sum, thread) => sum + thread.connections, 0) === 8 + 7;
    await until('five gone', room);
    expect((await open(scope, ek, 10)).served).toHaveLength(5);
    await load.stop();
    expect(load.reasons()).toEqual({});
    expect(load.answered).toBeGreaterThan(200);
  });

  it('has the requests that one may have, over all its connections and threads; the access log says so', async () => {
    const { scope, ek } = await start({ requests: rate(50) }, { log: { level: 'info', access: 'json' } });
    const clients = Array.from({ length: 10 }, () => scope.own(new RawClient({ port: ek.port, from: greedy })));
    const statuses = await Promise.all(
      clients.map(async (client) => {
        await client.send(get('/').repeat(12));
        return (await client.answers(12)).map(statusOf);
      }),
    );
    const count = (status: number): number => statuses.flat().filter((each) => each === status).length;
    expect([count(200), count(429)]).toEqual([50, 70]);
    expect(clients.every((client) => client.end === 'open')).toBe(true);
    expect(statusOf(await ask({ port: ek.port, from: '127.0.0.67' }, get('/')))).toBe(200);
    expect(await metric(ek, 'evenkeel_requests_refused_total{reason="address-requests"}')).toBe(70);
    await until('the log', () => ek.accessLines().length === 121);
    const limited = ek.accessLines().filter((line) => line['end'] === 'limited');
    expect(limited).toHaveLength(70);
    for (const line of limited) expect(line).toMatchObject({ status: 429, client: greedy, node: '' });
    expect(ek.child.output()).toContain(`${greedy} is over limits.perAddress.requests and was refused`);
  });

  it('over TLS is closed before the handshake', async () => {
    const scope = testScope();
    const pem = await makeCertificate(await scope.folder(), 'app.test');
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, ([address]) => ({
      listen: { address, tls: pem.files },
      limits: { perAddress: { connections: 2 } },
      pools: { app: { nodes: [node.url] } },
    }));
    await ek.fit(1);
    const dial = (): RawClient => scope.own(new RawClient({ tls: ek.port }));
    const open = [dial(), dial()];
    for (const client of open) {
      await client.send(get('/'));
      expect((await client.answers(1)).map(statusOf)).toEqual([200]);
    }
    const third = dial();
    await expect(third.connected).rejects.toThrow();
    expect(await refused(ek, 'address-connections')).toBe(1);
    open[0]!.stop();
    await until('one gone', async () => (await ek.stats()).threads[0]!.connections === 1);
    const fourth = dial();
    await fourth.send(get('/'));
    expect((await fourth.answers(1)).map(statusOf)).toEqual([200]);
  });
});

describe('a reload', () => {
  it('brings limits, changes them and takes them away, behind open connections', async () => {
    const { scope, ek, settings } = await start({});
    const client = scope.own(new RawClient({ port: ek.port, from: greedy }));
    let asked = 0;
    const asks = async (count: number): Promise<number[]> => {
      await client.send(get('/').repeat(count));
      asked += count;
      return (await client.answers(asked)).slice(-count).map(statusOf);
    };
    expect(await asks(5)).toEqual([200, 200, 200, 200, 200]);
    await ek.reload({ ...settings, limits: { perAddress: { requests: rate(2) } } });
    expect(await asks(3)).toEqual([200, 200, 429]);
    // What it owes is cut to what the new rate lets anybody owe.
    await ek.reload({ ...settings, limits: { perAddress: { requests: { perSecond: 1000, burst: 1000 } } } });
    await until('in time again', async () => (await asks(1))[0] === 200);
    await ek.reload(settings);
    expect(await asks(3)).toEqual([200, 200, 200]);
  });
});

describe('a data thread that dies', () => {
  it('takes its connections out of the count, and no others', async () => {
    const { scope, ek } = await start({ connections: 24 }, {}, { composed: true });
    const { served, refused: over } = await open(scope, ek, 30);
    expect([served.length, over]).toEqual([24, 6]);
    await until(
      'the refused ones gone',
      async () => (await ek.stats()).threads.reduce((sum, thread) => sum + thread.connections, 0) === 24,
    );
    const victim = (await ek.stats()).threads.find((thread) => thread.connections > 0)!;
    await ek.killThread(victim.thread);
    await until('its connections gone', () => served.filter((one) => one.end !== 'open').length === victim.connections);
    await until('two threads run again', async () =>
      (await ek.stats()).threads.every((thread) => thread.state === 'running'),
    );
    const again = await open(scope, ek, victim.connections + 5);
    expect([again.served.length, again.refused]).toEqual([victim.connections, 5]);
    for (const client of [...served, ...again.served]) client.stop();
    await until('all gone', async () => (await ek.stats()).threads.every((thread) => thread.connections === 0));
    expect((await open(scope, ek, 30)).served).toHaveLength(24);
  });
});

describe('a flood of 50 000 addresses through a trusted proxy', () => {
  it('is served whole, the greedy one among them is not, and memory stays within the table', async () => {
    const { scope, ek } = await start({ requests: rate(3) }, { trustedProxies: ['127.0.0.9'] });
    const proxy = { port: ek.port, from: '127.0.0.9' };
    const of = (address: string): string => get('/', `X-Forwarded-For: ${address}`);
    /** Over one connection, a batch at a time, each address once. */
    const flood = async (first: number, count: number): Promise<number> => {
      let served = 0;
      for (let at = first; at < first + count; at += 250) {
        const client = scope.own(new RawClient(proxy));
        const text = Array.from({ length: 250 }, (_, i) =>
          of(`10.${(at + i) >> 16}.${((at + i) >> 8) & 255}.${(at + i) & 255}`),
        );
        await client.send(text.join(''));
        served += (await client.answers(250, { withinMs: 60_000 })).filter((answer) => statusOf(answer) === 200).length;
        client.stop();
      }
      return served;
    };
    const greedyStatuses = async (count: number): Promise<number[]> => {
      const client = scope.own(new RawClient(proxy));
      await client.send(of('192.0.2.1').repeat(count));
      return (await client.answers(count)).map(statusOf);
    };
    expect(await greedyStatuses(5)).toEqual([200, 200, 200, 429, 429]);
    expect(await flood(0, 2000)).toBe(2000);
    const before = ek.residentBytes();
    const served = await Promise.all(Array.from({ length: 4 }, (_, i) => flood(2000 + i * 12_000, 12_000)));
    expect(served).toEqual([12_000, 12_000, 12_000, 12_000]);
    expect(await greedyStatuses(2)).toEqual([429, 429]);
    expect(await refused(ek, 'address-requests')).toBe(4);
    const kept = await metric(ek, 'evenkeel_client_addresses');
    expect(kept).toBeLessThanOrEqual(50_001);
    expect(kept + (await metric(ek, 'evenkeel_client_addresses_forgotten_total'))).toBe(50_001);
    expect(await metric(ek, 'evenkeel_client_addresses_untracked_total')).toBe(0);
    // The table itself has 3 MiB of keys and times, and 512 KiB per thread; the rest is what any 48 000 requests cost.
    expect(ek.residentBytes() - before).toBeLessThan(96 * 1024 * 1024);
  });
});
