/** A node dies without a word under load: no client notices, it gets nothing until it is fit again. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { Load } from '../helpers/load.ts';
import { startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';

const rise = 3;
const health = {
  path: '/health',
  timeout: '10s',
  interval: '200ms',
  fastInterval: '100ms',
  downInterval: '200ms',
  fall: 3,
  rise,
};

describe.each(['round-robin', 'least-connections'])('SIGKILL of one of three nodes under 32 clients, %s', (balance) => {
  it('no GET fails; the node gets nothing while it is down, and comes back after `rise` probes', async () => {
    const scope = testScope();
    const [a, b, c] = await startAppNodes(scope, 'a', 'b', 'c');
    const nodes = [a!, b!, c!].map((node) => ({ id: node.name, url: node.url }));
    const ek = await startEvenkeel(scope, { pools: { app: { balance, nodes, health } } });
    await ek.fit(3);
    const load = scope.own(new Load({ port: ek.port, clients: 32 }));
    await until('answers of all nodes', () => load.byNode.size === 3 && load.answered > 1000);

    await b!.kill();
    await until('b out of traffic', async () => (await ek.node('b')).fitness === 'unfit');

    // In its place something that records whoever asks: only probes may.
    const trap = await startRawNode(scope, b!.port);
    trap.respond = (_request, connection) => connection.write('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n');
    const before = load.answered;
    await until('probes and traffic meanwhile', () => trap.requests().length >= 5 && load.answered > before + 1000);
    expect(trap.requests().filter((request) => request.start !== 'GET /health HTTP/1.1')).toEqual([]);
    await trap.stop();

    const fromB = load.byNode.get('b') ?? 0;
    await b!.start();
    await until('answers of b again', async () => {
      if ((load.byNode.get('b') ?? 0) > fromB + 50) return true;
      throw new Error((await ek.node('b')).why);
    });
    expect((await b!.stats()).probesBeforeTraffic).toBeGreaterThanOrEqual(rise);

    await load.stop();
    expect(load.reasons()).toEqual({});
  });
});
