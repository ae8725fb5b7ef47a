import http from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { nodeId } from '../../../src/base/ids.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { plainAnswer } from '../../../src/health/answer.ts';
import { type HealthChange, HealthMonitor, type HealthMonitorOptions } from '../../../src/health/io/monitor.ts';
import type { ProbeResult } from '../../../src/health/machine.ts';
import type { NodeSpec, ProbeAddress } from '../../../src/health/policy.ts';
import { healthPolicy, nodeSpec, poolSpec } from '../world.ts';
import { deadAddress, httpNode, listen, rawNode, socketPath } from './servers.ts';

const fast = { ...healthPolicy, interval: 50, fastInterval: 50, downInterval: 50, timeout: 200, jitter: 0.1 };
const waitFor = (check: () => void): Promise<void> => vi.waitFor(check, { timeout: 60_000, interval: 5 });

function start(more: Partial<HealthMonitorOptions> = {}) {
  const changes: HealthChange[] = [];
  const lines: string[] = [];
  const monitor = new HealthMonitor({
    now: () => performance.now(),
    wallNow: () => Date.now(),
    random: seededRandom(1),
    onChange: (change) => changes.push(change),
    log: (line) => lines.push(`${line.level} ${line.message}`),
    ...more,
  });
  onTestFinished(() => monitor.close());
  const view = (id: string) => monitor.views().find((one) => one.node === id)!;
  return { monitor, changes, lines, view };
}

const at = (id: string, address: ProbeAddress): NodeSpec => nodeSpec(id, { address });
const good: ProbeResult = { ok: true, detail: 'fine', durationMs: 1, refused: false, answer: plainAnswer };

describe('the monitor, with real nodes', () => {
  it('knows each node after the first round', async () => {
    const { monitor, view } = start();
    const nodes = [
      at('http', await httpNode((_request, response) => response.end())),
      at('unix', await httpNode((_request, response) => response.end(), { path: socketPath() })),
      at('dead', await deadAddress()),
      at('silent', await rawNode(null)),
      at('garbage', await rawNode('\x00\x00\x00\r\n\r\n')),
    ];
    monitor.configure([poolSpec(nodes, { health: fast })]);
    await monitor.firstRoundDone();
    expect(monitor.views().map(({ node, verdict }) => [node, verdict])).toEqual([
      ['http', 'healthy'],
      ['unix', 'healthy'],
      ['dead', 'unhealthy'],
      ['silent', 'unhealthy'],
      ['garbage', 'unhealthy'],
    ]);
    expect(monitor.pool('app')).toEqual({ pool: 'app', panic: false, fit: 2, total: 5 });
    expect(view('silent').why).toMatch(/timed out after 200 ms$/);
  });

  it('a node that dies is down after a few refused probes, and back after `rise` good ones', async () => {
    let asked = 0;
    const answer: http.RequestListener = (_request, response) => {
      asked += 1;
      response.end();
    };
    const server = http.createServer(answer);
    const address = (await listen(server)) as ProbeAddress & { kind: 'tcp' };
    const { monitor, view, lines } = start();
    // A long interval: only traffic's word can have found it so soon.
    const health = { ...fast, interval: 600_000, rise: 3 };
    monitor.configure([poolSpec([at('a', address)], { health })]);
    await monitor.firstRoundDone();
    expect(view('a').fitness).toBe('fit');

    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    monitor.report('app', nodeId('a'), 'refused', `connect ECONNREFUSED 127.0.0.1:${address.port}`);
    await waitFor(() => expect(view('a')).toMatchObject({ verdict: 'unhealthy', fitness: 'unfit', downs: 1 }));
    const down = `warn node app/a is down: 3 failed checks in a row: connect ECONNREFUSED 127.0.0.1:${address.port}`;
    expect(lines).toContain(down);

    asked = 0;
    await httpNode(answer, { port: address.port });
    await waitFor(() => expect(view('a').fitness).toBe('fit'));
    expect(asked).toBe(3);
  });

  it('firstRoundDone also waits for nodes that a reload brought', async () => {
    const { monitor, view } = start();
    const a = at('a', await httpNode((_request, response) => response.end()));
    const b = at('b', await httpNode((_request, response) => response.end()));
    monitor.configure([poolSpec([a], { health: fast })]);
    await monitor.firstRoundDone();
    monitor.configure([poolSpec([a, b], { health: fast })]);
    expect(view('b').verdict).toBe('unknown');
    await monitor.firstRoundDone();
    expect(view('b').verdict).toBe('healthy');
  });
});

describe('the monitor', () => {
  it('takes a wish at once, tells it once, and refuses what is not there', () => {
    const { monitor, changes, view } = start();
    monitor.configure([poolSpec(['a', 'b'], { health: null })]);
    changes.length = 0;
    expect(monitor.wish('app', nodeId('a'), 'drain')).toEqual({ ok: true, value: null });
    expect(view('a')).toMatchObject({ wish: 'drain', fitness: 'unfit' });
    monitor.wish('app', nodeId('a'), 'drain');
    expect(changes.map((change) => [change.node, change.view.wish, change.previous?.wish])).toEqual([
      ['a', 'drain', 'ready'],
    ]);
    expect(monitor.wish('app', nodeId('z'), 'drain')).toEqual({ ok: false, error: 'pool app has no node z' });
  });

  it('tells changes in their order, also when the listener calls back', () => {
    const told: string[] = [];
    const { monitor } = start({
      onChange: ({ node, view }) => {
        told.push(`${node} ${view.wish}`);
        if (node === 'a' && view.wish === 'ready') monitor.wish('app', nodeId('b'), 'drain');
      },
    });
    monitor.configure([poolSpec(['a', 'b'], { health: null })]);
    expect(told).toEqual(['a ready', 'b ready', 'b drain']);
  });

  it('goes on when the listener throws, and says so', async () => {
    const { monitor, lines, view } = start({
      onChange: () => {
        throw new Error('board full');
      },
      probe: async () => good,
    });
    monitor.configure([poolSpec(['a'])]);
    await monitor.firstRoundDone();
    expect(view('a').verdict).toBe('healthy');
    expect(lines).toContain('error a change of node app/a could not be applied: board full');
  });

  it('a probe that breaks is a failed check', async () => {
    const { monitor, view } = start({ probe: () => Promise.reject(new Error('no sockets left')) });
    monitor.configure([poolSpec(['a'])]);
    await monitor.firstRoundDone();
    expect(view('a').why).toBe('1 failed check: the probe itself failed: no sockets left');
  });

  it('probes thousands of nodes, at most 256 at once, each again and again', async () => {
    let running = 0;
    let most = 0;
    const count = new Map<string, number>();
    const { monitor, changes } = start({
      probe: async ({ address }) => {
        const name = address.kind === 'tcp' ? address.host : '';
        count.set(name, (count.get(name) ?? 0) + 1);
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return good;
      },
    });
    const ids = Array.from({ length: 5000 }, (_, i) => `n${i}`);
    monitor.configure([poolSpec(ids, { health: { ...fast, interval: 500 } })]);
    await monitor.firstRoundDone();
    expect(monitor.pool('app')).toMatchObject({ fit: 5000, total: 5000 });
    expect(most).toBe(256);
    expect(changes.length).toBe(10_000);
    await waitFor(() => expect(Math.min(...count.values())).toBeGreaterThanOrEqual(3));
    expect(most).toBe(256);
  });

  it('after close nothing is probed or told, and nobody waits any more', async () => {
    let probes = 0;
    const { monitor, changes } = start({
      probe: () => {
        probes += 1;
        return new Promise<ProbeResult>(() => {});
      },
    });
    monitor.configure([poolSpec(['a', 'b'])]);
    const waiting = monitor.firstRoundDone();
    changes.length = 0;
    monitor.close();
    await waiting;
    monitor.wish('app', nodeId('a'), 'drain');
    monitor.configure([poolSpec(['c'])]);
    await monitor.firstRoundDone();
    expect(probes).toBe(2);
    expect(changes).toEqual([]);
  });
});
