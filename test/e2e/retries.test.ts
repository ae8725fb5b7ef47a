/** What is sent again, and what never is: DATAPLANE's rule that a write whose bytes may have left is not repeated. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Evenkeel, type Settings, startEvenkeel } from '../helpers/evenkeel.ts';
import { field, type Message, statusOf } from '../helpers/http-bytes.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { type RawNode, type Respond, startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';

const post = (target: string, body = 'hello'): string =>
  `POST ${target} HTTP/1.1\r\nHost: ek.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const dies: Respond = (_request, connection) => connection.socket.resetAndDestroy();
const answers =
  (status: number, text: string): Respond =>
  (_request, connection) =>
    connection.write(`HTTP/1.1 ${status} X\r\nContent-Length: ${text.length}\r\n\r\n${text}`);

interface Pair {
  readonly ek: Evenkeel;
  readonly first: RawNode;
  readonly second: RawNode;
}

/** Two nodes in turn, and only traffic that counts: no probes, no ejection. */
async function pair(scope: Scope, pool: Settings = {}): Promise<Pair> {
  const [first, second] = [await startRawNode(scope), await startRawNode(scope)];
  const ek = await startEvenkeel(scope, {
    pools: {
      app: {
        balance: 'round-robin',
        nodes: [
          { id: 'first', url: first.url },
          { id: 'second', url: second.url },
        ],
        health: 'off',
        passive: { consecutiveErrors: 0 },
        ...pool,
      },
    },
  });
  return { ek, first, second };
}

const bodies = (node: RawNode): string[] => node.requests().map((request) => request.start.split(' ')[0]!);

describe('a node that breaks the connection after it has got the request', () => {
  let both: Pair;
  beforeEach(async () => {
    const scope = testScope();
    both = await pair(scope);
    both.first.respond = dies;
    both.second.respond = answers(200, 'second');
  });

  it.each(['GET', 'HEAD', 'OPTIONS'])('%s goes to another node', async (method) => {
    const { ek, first, second } = both;
    for (let i = 0; i < 4; i++) {
      const answer = await ask(ek.port, get('/').replace('GET', method), method);
      expect([statusOf(answer), field(answer, 'proxy-status')]).toEqual([200, undefined]);
    }
    expect(bodies(first).length).toBeGreaterThan(0);
    expect(bodies(second).length).toBe(4);
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s is answered 502 and was seen once', async (method) => {
    const { ek, first, second } = both;
    const answers: Message[] = [];
    for (let i = 0; i < 4; i++) answers.push(await ask(ek.port, post(`/${i}`).replace('POST', method)));
    const seen = [...first.requests(), ...second.requests()].map((request) => request.start);
    expect(new Set(seen).size).toBe(seen.length);
    expect(answers.filter((answer) => statusOf(answer) === 502).length).toBe(first.requests().length);
    expect(first.requests().length).toBeGreaterThan(0);
  });
});

describe('a port that refuses', () => {
  it('POST goes to another node: nothing had left', async () => {
    const scope = testScope();
    const second = await startRawNode(scope);
    second.respond = answers(200, 'second');
    const ek = await startEvenkeel(scope, {
      pools: {
        app: { balance: 'round-robin', nodes: [`http://127.0.0.1:${await freePort()}`, second.url], health: 'off' },
      },
    });
    for (let i = 0; i < 4; i++) expect((await ask(ek.port, post(`/${i}`))).body).toBe('second');
    expect(second.requests().map((request) => request.body)).toEqual(['hello', 'hello', 'hello', 'hello']);
  });

  it('with all nodes down: 502 or 503 with Retry-After, as JSON and as HTML, with the request id', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, {
      pools: { app: { nodes: [node.url], health: { path: '/health', timeout: '10s', interval: '100ms', fall: 1 } } },
    });
    await ek.fit(1);
    await node.kill();
    await ek.fit(0);
    const answer = await ask(ek.port, get('/'));
    expect(statusOf(answer)).toBe(503);
    expect(field(answer, 'retry-after')).toMatch(/^\d+$/);
    expect(field(answer, 'content-type')).toContain('application/problem+json');
    const id = field(answer, 'x-request-id');
    expect(id).toBeTruthy();
    expect(JSON.parse(answer.body)).toMatchObject({ status: 503 });
    expect(answer.body).toContain(id!);
    expect(field(answer, 'proxy-status')).toMatch(/^evenkeel; error=/);
    const page = await ask(ek.port, get('/', 'Accept: text/html,application/xhtml+xml'));
    expect(field(page, 'content-type')).toContain('text/html');
    expect(page.body).toContain(field(page, 'x-request-id')!);
  });
});

describe('statuses that are listed', () => {
  it('GET is tried on another node, POST is not', async () => {
    const scope = testScope();
    const { ek, first, second } = await pair(scope, { retry: { statuses: [502, 503], attempts: 2 } });
    first.respond = answers(503, 'busy');
    second.respond = answers(200, 'second');
    for (let i = 0; i < 4; i++) expect(statusOf(await ask(ek.port, get('/')))).toBe(200);
    const posts = [];
    for (let i = 0; i < 4; i++) posts.push(statusOf(await ask(ek.port, post('/'))));
    expect(posts.toSorted()).toEqual([200, 200, 503, 503]);
  });

  it('when both fail, the last answer is the client’s', async () => {
    const scope = testScope();
    const { ek, first, second } = await pair(scope, { retry: { statuses: [503], attempts: 2 } });
    first.respond = answers(503, 'busy');
    second.respond = answers(503, 'busy too');
    const answer = await ask(ek.port, get('/'));
    expect(statusOf(answer)).toBe(503);
    expect(bodies(first).length + bodies(second).length).toBe(2);
  });

  it('methods that are named are sent again', async () => {
    const scope = testScope();
    const { ek, first, second } = await pair(scope, { retry: { methods: ['PUT'] } });
    first.respond = dies;
    second.respond = answers(200, 'second');
    for (let i = 0; i < 4; i++) {
      expect((await ask(ek.port, post('/').replace('POST', 'PUT'))).body).toBe('second');
    }
    expect(second.requests().map((request) => request.body)).toEqual(['hello', 'hello', 'hello', 'hello']);
  });
});

describe('kept connections', () => {
  it('a node that closes an idle connection costs no request, POST included', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url], health: 'off' } } });
    node.respond = (request, connection) => {
      answers(200, 'ok')(request, connection);
      connection.socket.end();
    };
    const client = scope.own(new RawClient(ek.port));
    for (let i = 1; i <= 20; i++) {
      await client.send(i % 2 === 0 ? get('/') : post('/'));
      const [...all] = await client.answers(i);
      expect(all.map(statusOf)).toEqual(Array.from({ length: i }, () => 200));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(node.requests().length).toBe(20);
  });

  it('bytes on an idle connection are never the next answer', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const ek = await startEvenkeel(scope, { pools: { app: { nodes: [node.url], health: 'off' } } });
    expect((await ask(ek.port, get('/1'))).body).toBe('GET /1');
    const [idle] = node.connections;
    idle!.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison');
    await until('end of that connection', () => idle!.end !== 'open');
    for (let i = 2; i < 6; i++) expect((await ask(ek.port, get(`/${i}`))).body).toBe(`GET /${i}`);
  });
});
