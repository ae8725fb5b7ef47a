/** The operator's wish: drain takes no new traffic and finishes the old, maint stops probes too, ready brings back. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { Load } from '../helpers/load.ts';
import { type AppNode, startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { fileScope, testScope } from '../helpers/scope.ts';

const token = 'a-token-of-the-test';
const scope = fileScope();
let nodes: AppNode[];
let ek: Evenkeel;

beforeAll(async () => {
  nodes = await startAppNodes(scope, 'a', 'b');
  const pool = {
    nodes: nodes.map((node) => ({ id: node.name, url: node.url })),
    health: { path: '/health', timeout: '10s', interval: '50ms' },
  };
  ek = await startEvenkeel(scope, { pools: { app: pool } });
  await ek.fit(2);
});

const wish = async (node: string, value: string): Promise<number> => {
  const response = await ek.admin(`/api/pools/app/nodes/${node}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ wish: value }),
  });
  return response.status;
};

describe('a node under load', () => {
  it('drain: no new request, what runs is finished, nobody fails; ready: it is back', async () => {
    const own = testScope();
    const [a] = nodes;
    const held = own.own(new RawClient(ek.port));
    expect(await wish('b', 'drain')).toBe(200);
    await held.send(get('/hold'));
    await until('a request held by a', async () => (await a!.stats()).held === 1);
    expect(await wish('b', 'ready')).toBe(200);
    const load = own.own(new Load({ port: ek.port, clients: 8 }));
    await until('both answer', () => load.byNode.size === 2);

    expect(await wish('a', 'drain')).toBe(200);
    const [before, answered] = [(await a!.stats()).requests, load.answered];
    await until('traffic meanwhile', () => load.answered > answered + 500);
    // What had been picked in the moment of the wish may still arrive.
    expect((await a!.stats()).requests - before).toBeLessThanOrEqual(8);
    const settled = (await a!.stats()).requests;
    await until('more traffic', () => load.answered > answered + 1000);
    expect((await a!.stats()).requests).toBe(settled);
    expect(await ek.node('a')).toMatchObject({ wish: 'drain', fitness: 'unfit', verdict: 'healthy', inFlight: 1 });
    await a!.release();
    expect((await held.answers(1))[0]?.body).toBe('a\n');

    expect(await wish('a', 'ready')).toBe(200);
    await until('a answers again', async () => (await a!.stats()).requests > settled + 10);
    await load.stop();
    expect(load.reasons()).toEqual({});
  });

  it('maint: no probes either', async () => {
    const [, b] = nodes;
    expect(await wish('b', 'maint')).toBe(200);
    const before = (await b!.stats()).probes;
    const others = (await nodes[0]!.stats()).probes;
    await until('probes of the other node', async () => (await nodes[0]!.stats()).probes > others + 5);
    expect((await b!.stats()).probes - before).toBeLessThanOrEqual(1);
    expect(await wish('b', 'ready')).toBe(200);
    await until('probes again', async () => (await b!.stats()).probes > before + 3);
    await ek.fit(2);
  });

  it('the wish outlives a reload that does not speak of it', async () => {
    expect(await wish('a', 'drain')).toBe(200);
    await ek.reload({
      timeouts: { head: '9s' },
      pools: {
        app: {
          nodes: nodes.map((node) => ({ id: node.name, url: node.url })),
          health: { path: '/health', timeout: '10s', interval: '50ms' },
        },
      },
    });
    expect(await ek.node('a')).toMatchObject({ wish: 'drain', fitness: 'unfit' });
    expect(await wish('a', 'ready')).toBe(200);
    await ek.fit(2);
  });
});

describe('who may', () => {
  it('unknown names and words are refused', async () => {
    expect(await wish('nobody', 'drain')).toBe(404);
    expect(await wish('a', 'asleep')).toBe(422);
    expect((await ek.node('a')).wish).toBe('ready');
  });

  it('with a token: only with it; it is printed nowhere', async () => {
    const own = testScope();
    const pools = { app: { nodes: [{ id: 'a', url: nodes[0]!.url }] } };
    const guarded = await startEvenkeel(own, { pools }, { token });
    const patch = (headers: Record<string, string>): Promise<Response> =>
      guarded.admin('/api/pools/app/nodes/a', {
        method: 'PATCH',
        headers: { 'content-type': 'application/json', ...headers },
        body: '{"wish":"drain"}',
      });
    expect((await patch({ authorization: '' })).status).toBe(401);
    expect((await patch({ authorization: 'Bearer wrong' })).status).toBe(401);
    expect((await patch({})).status).toBe(200);
    const config = await guarded.admin('/api/config');
    expect(await config.text()).not.toContain(token);
    expect(guarded.child.output()).not.toContain(token);
  });
});
