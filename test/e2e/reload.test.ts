/** What a reload leaves alone, and what it does to that which it takes away. */
import { describe, expect, it } from 'vitest';
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { field, statusOf } from '../helpers/http-bytes.ts';
import { type AppNode, startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const pool = (...nodes: readonly AppNode[]): Settings => ({
  pools: { app: { nodes: nodes.map((node) => ({ id: node.name, url: node.url })) } },
});

async function startWith(scope: Scope): Promise<{ ek: Evenkeel; a: AppNode; b: AppNode }> {
  const [a, b] = await startAppNodes(scope, 'a', 'b');
  const ek = await startEvenkeel(scope, pool(a!));
  await ek.fit(1);
  return { ek, a: a!, b: b! };
}

describe('a node that is taken away', () => {
  it('finishes what it has; a client’s next request on the same connection goes elsewhere', async () => {
    const scope = testScope();
    const { ek, a, b } = await startWith(scope);
    const client = scope.own(new RawClient(ek.port));
    await client.send(get('/hold'));
    await until('held', async () => (await a.stats()).held === 1);
    await ek.reload(pool(b));
    await ek.fit(1);
    expect((await ask(ek.port, get('/'))).body).toBe('b\n');
    await a.release();
    await client.answers(1);
    await client.send(get('/'));
    expect((await client.answers(2)).map((answer) => answer.body)).toEqual(['a\n', 'b\n']);
    await until('no connection to it is kept', async () => (await a.stats()).connections === 0);
  });
});

describe('a listener that is taken away', () => {
  it('accepts nobody new; its open connections live on', async () => {
    const scope = testScope();
    const { ek, a } = await startWith(scope);
    const port = await freePort();
    const both = { ...pool(a), listen: [`127.0.0.1:${ek.port}`, `127.0.0.1:${port}`] };
    await ek.reload(both);
    await until('the new listener', async () => statusOf(await ask(port, get('/'))) === 200);
    const idle = scope.own(new RawClient(port));
    await idle.send(get('/'));
    await idle.answers(1);
    const busy = scope.own(new RawClient(port));
    await busy.send(get('/hold'));
    await until('held', async () => (await a.stats()).held === 1);

    await ek.reload(pool(a));
    await until('nobody new', () =>
      new RawClient(port).connected.then(
        () => false,
        () => true,
      ),
    );
    await a.release();
    expect((await busy.answers(1))[0]?.body).toBe('a\n');
    await idle.send(get('/'));
    expect((await idle.answers(2)).length).toBe(2);
    expect(statusOf(await ask(ek.port, get('/')))).toBe(200);
  });

  it('a port that is taken at a reload: the old config stays', async () => {
    const scope = testScope();
    const { ek, a } = await startWith(scope);
    const other = await startRawNode(scope);
    await ek.write({ ...pool(a), listen: [`127.0.0.1:${ek.port}`, `127.0.0.1:${other.port}`] });
    const failed = await until('refusal', async () => {
      const { config } = await ek.stats();
      return config.reloadsFailed > 0 && config;
    });
    expect(failed.lastReload?.problem).toContain(String(other.port));
    expect(statusOf(await ask(ek.port, get('/')))).toBe(200);
  });
});

describe('what new requests go by', () => {
  it('limits, time-outs and fields change with the next request; the process id does not', async () => {
    const scope = testScope();
    const { ek, a } = await startWith(scope);
    const client = scope.own(new RawClient(ek.port));
    await client.send(get('/fields', 'X_A: b'));
    await client.answers(1);
    await ek.reload({ ...pool(a), fields: { underscore: 'allow' }, limits: { maxTarget: '64B' } });
    await client.send(get('/fields', 'X_A: b'));
    await client.send(get(`/${'x'.repeat(100)}`));
    const [first, second, third] = await client.answers(3);
    expect(first!.body).not.toContain('X_A');
    expect(second!.body).toContain('X_A');
    expect(statusOf(third!)).toBe(414);

    await ek.reload({ ...pool(a), fields: { underscore: 'reject' } });
    expect(statusOf(await ask(ek.port, get('/', 'X_A: b')))).toBe(400);
    expect((await ek.stats()).process.pid).toBe(ek.child.pid);
  });

  it('trailers pass to nodes, and to clients that ask for them, where the config says so', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.respond = (_request, connection) =>
      connection.write(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n',
      );
    const ek = await startEvenkeel(scope, {
      fields: { trailers: true },
      pools: { app: { nodes: [node.url], health: 'off' } },
    });
    const post = (te: string): string =>
      `POST / HTTP/1.1\r\nHost: ek.test\r\n${te}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Mine: 2\r\nHost: evil.test\r\n\r\n`;
    const asking = await ask(ek.port, post('TE: trailers\r\n'));
    const silent = await ask(ek.port, post(''));
    expect(node.requests().map((request) => request.trailers)).toEqual([['X-Mine: 2'], ['X-Mine: 2']]);
    expect(asking.trailers).toEqual(['X-Sum: 1']);
    expect([silent.trailers, silent.body]).toEqual([[], 'ok']);
    expect(field(node.requests()[0]!, 'te')).toBe('trailers');
    expect(node.requests()[1]!.fields.has('te')).toBe(false);
  });
});

describe('workers', () => {
  it('more and fewer data threads under traffic: no answer is lost', async () => {
    const scope = testScope();
    const { ek, a } = await startWith(scope);
    for (const workers of [2, 1, 2]) {
      const client = scope.own(new RawClient(ek.port));
      await client.send(get('/hold'));
      await until('held', async () => (await a.stats()).held === 1);
      await ek.write({ ...pool(a), workers });
      await until(`${workers} threads`, async () => {
        const threads = (await ek.stats()).threads.filter((thread) => thread.state === 'running');
        return threads.length === workers;
      });
      for (let i = 0; i < 20; i++) expect(statusOf(await ask(ek.port, get('/')))).toBe(200);
      await a.release();
      expect((await client.answers(1))[0]?.body).toBe('a\n');
    }
  });
});
