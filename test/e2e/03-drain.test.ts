/** SIGTERM under load: what was begun is finished, what is open is told to go elsewhere, the process ends with 0. */
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { field } from '../helpers/http-bytes.ts';
import { Load } from '../helpers/load.ts';
import { startAppNode, startAppNodes } from '../helpers/nodes.ts';
import { until, within } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

const health = { path: '/health', timeout: '10s', interval: '200ms' };

describe('SIGTERM', () => {
  it.each([1, 2])('under 32 keep-alive clients, %i data threads: no request fails, exit 0', async (workers) => {
    const scope = testScope();
    const nodes = await startAppNodes(scope, 'a', 'b');
    const ek = await startEvenkeel(scope, {
      workers,
      shutdown: { delay: '300ms', deadline: '2m' },
      pools: { app: { nodes: nodes.map((node) => node.url), health } },
    });
    await ek.fit(2);
    const held = Array.from({ length: 4 }, () => scope.own(new RawClient(ek.port)));
    for (const client of held) await client.send(get('/hold'));
    const inFlight = async (): Promise<number> => {
      const stats = await Promise.all(nodes.map((node) => node.stats()));
      return stats.reduce((sum, one) => sum + one.held, 0);
    };
    await until('held requests', async () => (await inFlight()) === 4);
    const load = scope.own(new Load({ port: ek.port, clients: 32, refusedEnds: true }));
    await until('load', () => load.answered > 500);

    ek.child.kill('SIGTERM');
    await until('/readyz says 503', async () => (await ek.admin('/readyz')).status === 503);
    await within('end of all clients', load.ended());
    expect(load.reasons()).toEqual({});

    expect(ek.child.exited).toBeNull();
    for (const node of nodes) await node.release();
    for (const client of held) {
      const [answer] = await client.answers(1);
      expect(answer?.start).toBe('HTTP/1.1 200 OK');
      expect(field(answer!, 'connection')?.toLowerCase()).toBe('close');
    }
    expect(await within('exit', ek.exit)).toEqual({ code: 0, signal: null });
  });

  it('clients that pause between requests lose none either', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url], health } } });
    await ek.fit(1);
    const load = scope.own(new Load({ port: ek.port, clients: 32, refusedEnds: true, thinkMs: 5 }));
    await until('load', () => load.answered > 500);
    ek.child.kill('SIGTERM');
    await within('end of all clients', load.ended());
    expect(load.reasons()).toEqual({});
    expect(await within('exit', ek.exit)).toEqual({ code: 0, signal: null });
  });

  it('what has not ended by the deadline is cut, and the exit is still 0', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, {
      shutdown: { deadline: '200ms' },
      pools: { app: { nodes: [node.url], health } },
    });
    await ek.fit(1);
    const client = scope.own(new RawClient(ek.port));
    await client.send(get('/hold'));
    await until('held request', async () => (await node.stats()).held === 1);
    ek.child.kill('SIGTERM');
    expect(await within('exit', ek.exit)).toEqual({ code: 0, signal: null });
    await client.ended();
  });

  it('a second one, or SIGINT after it, ends at once', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, {
      shutdown: { deadline: '10m' },
      pools: { app: { nodes: [node.url], health } },
    });
    await ek.fit(1);
    const client = scope.own(new RawClient(ek.port));
    await client.send(get('/hold'));
    await until('held request', async () => (await node.stats()).held === 1);
    ek.child.kill('SIGTERM');
    await until('listeners closed', () =>
      ask(ek.port, get('/')).then(
        () => false,
        (error: Error) => error.message.includes('ECONNREFUSED'),
      ),
    );
    ek.child.kill('SIGTERM');
    await within('exit', ek.exit);
  });
});
