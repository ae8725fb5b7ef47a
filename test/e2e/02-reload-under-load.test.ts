/** Fifty reloads in ten seconds, each with other weights, nodes and routes: nobody notices. */
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { Load } from '../helpers/load.ts';
import { type AppNode, startAppNodes } from '../helpers/nodes.ts';
import { pause, until, within } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const reloads = 50;
const paceMs = 200;
const dripBytes = 1100;
const health = { path: '/health', timeout: '10s', interval: '300ms', fastInterval: '100ms', fall: 2, rise: 2 };

/** Node a and the sick one stay as they are; b changes its weight, c comes and goes, routes change. */
function settings(i: number, nodes: readonly AppNode[]): Record<string, unknown> {
  const [a, b, c, sick] = nodes.map((node) => ({ id: node.name, url: node.url }));
  const others = i === 0 ? [] : [{ ...b, weight: 1 + (i % 7) }, ...(i % 2 === 0 ? [c] : [])];
  const extra = Array.from({ length: i % 5 }, (_, n) => ({ path: `/extra-${i}-${n}`, pool: 'app' }));
  return {
    workers: 2,
    pools: { app: { nodes: [a, sick, ...others], health } },
    routes: [...extra, { name: 'all', path: '/', pool: 'app', response: { set: { 'X-Reload': String(i) } } }],
  };
}

async function openSocket(
  scope: Scope,
  port: number,
): Promise<{ socket: WebSocket; echo(text: string): Promise<void> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  scope.own({ stop: () => socket.terminate() });
  await within('open WebSocket', new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)));
  const echo = (text: string): Promise<void> =>
    within(
      `echo of ${text}`,
      new Promise<void>((resolve, reject) => {
        socket.once('close', () => reject(new Error('WebSocket closed')));
        socket.once('message', (data) => (String(data) === text ? resolve() : reject(new Error(`got ${data}`))));
        socket.send(text);
      }),
    ).finally(() => socket.removeAllListeners('close'));
  return { socket, echo };
}

describe('50 reloads in 10 s under load', () => {
  it('no request fails, open exchanges live on, health is kept', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c', 'sick');
    await nodes[3]!.setHealth(503);
    const ek = await startEvenkeel(scope, settings(0, nodes));
    await until('a fit, sick unhealthy', async () => {
      const [one, other] = await Promise.all([ek.node('a'), ek.node('sick')]);
      return one.fitness === 'fit' && other.verdict === 'unhealthy';
    });
    const before = { a: await ek.node('a'), sick: await ek.node('sick') };

    // While a is the only fit node: both run through it.
    const { socket, echo } = await openSocket(scope, ek.port);
    const download = scope.own(new RawClient(ek.port));
    await download.send(get(`/drip?bytes=${dripBytes}&ms=10`));
    await download.sees('\r\n\r\n.');
    const load = scope.own(new Load({ port: ek.port, clients: 32 }));

    for (let i = 1; i <= reloads; i++) {
      const next = performance.now() + paceMs;
      await ek.reload(settings(i, nodes));
      await echo(`reload ${i}`);
      await pause(Math.max(0, next - performance.now()));
    }
    await until('answers of all nodes', () => load.byNode.size === 3);
    await load.stop();
    expect(load.reasons()).toEqual({});
    expect(socket.readyState).toBe(WebSocket.OPEN);

    const [answer] = await download.answers(1, { withinMs: 90_000 });
    expect(answer?.body).toBe('.'.repeat(dripBytes));

    const after = { a: await ek.node('a'), sick: await ek.node('sick') };
    expect(after.a).toMatchObject({ verdict: 'healthy', since: before.a.since, downs: 0 });
    expect(after.sick).toMatchObject({ verdict: 'unhealthy', since: before.sick.since, downs: before.sick.downs });
    expect(after.a.counters.requests).toBeGreaterThan(before.a.counters.requests);
    expect((await nodes[3]!.stats()).requests).toBe(0);
    const stats = await ek.stats();
    expect(stats.config.reloadsFailed).toBe(0);
    expect(stats.config.reloadsOk).toBeGreaterThanOrEqual(reloads);
    expect(stats.threads.map((thread) => [thread.restarts, thread.exceptions])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it('SIGHUP reads the file again', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c', 'sick');
    const ek = await startEvenkeel(scope, settings(0, nodes));
    const before = (await ek.stats()).config.version;
    ek.child.kill('SIGHUP');
    await until('a line about the reload', () => ek.child.output().toLowerCase().includes('reload'));
    await ek.write(settings(3, nodes));
    ek.child.kill('SIGHUP');
    await until('the new config', async () => (await ek.stats()).config.version > before);
    expect(ek.child.exited).toBeNull();
  });
});
