/** Real processes: app nodes that get several requests at once per connection, under clients who look at each answer. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { type Message, statusOf } from '../helpers/http-bytes.ts';
import { Load } from '../helpers/load.ts';
import { startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';

let count = 0;
const request = (): string => `GET /fields?who=${++count} HTTP/1.1\r\nHost: ek.test\r\n\r\n`;

/** The app says in each answer whose it is. */
const judge = (answer: Message, asked: string): string | null => {
  if (statusOf(answer) !== 200) return answer.start;
  const target = asked.split(' ')[1]!;
  return answer.body.includes(`"url":"${target}"`) ? null : `${target} got ${answer.body.slice(0, 60)}`;
};

describe.each([1, 2])('64 clients of nodes that are pipelined to, %i data threads', (workers) => {
  it('each gets its own answers, also when a node is killed and comes back; requests leave in fewer writes', async () => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b', 'c');
    const health = { path: '/health', timeout: '10s', interval: '200ms', fastInterval: '100ms', downInterval: '200ms' };
    const app = { nodes: nodes.map(({ name, url }) => ({ id: name, url })), health, upstream: { pipelining: 8 } };
    const ek = await startEvenkeel(scope, { workers, pools: { app } });
    await ek.fit(3);
    const load = scope.own(new Load({ port: ek.port, clients: 64, request, judge }));
    await until('answers of all nodes', () => load.byNode.size === 3 && load.answered > 3000);

    await nodes[1]!.kill();
    await until('b out of traffic', async () => (await ek.node('b')).fitness === 'unfit');
    const before = load.answered;
    await until('traffic meanwhile', () => load.answered > before + 1000);
    await nodes[1]!.start();
    const fromB = load.byNode.get('b') ?? 0;
    await until('answers of b again', () => (load.byNode.get('b') ?? 0) > fromB + 100);

    await load.stop();
    expect(load.reasons()).toEqual({});
    const { requests, pipelinedWrites } = (await ek.node('a')).counters;
    expect(pipelinedWrites).toBeGreaterThan(0);
    expect(pipelinedWrites).toBeLessThan(requests);
    await until('nothing under way', async () => (await ek.pool()).active === 0);
  });
});
