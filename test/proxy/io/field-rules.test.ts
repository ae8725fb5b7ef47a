/** What the config says of fields holds wherever they stand: in conditions, in interim answers and in trailers as in heads. */
import { describe, expect, it } from 'vitest';
import type { FieldsConfig } from '../../../src/config/model.ts';
import type { RouteRow, Settings } from '../../../src/routing/snapshot.ts';
import { field, type Message, statusOf } from '../../helpers/http-bytes.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { type RawNode, startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { settings } from '../../routing/fixtures.ts';
import { post, primaryWorld } from '../primary-world.ts';
import { startWorld, type World } from '../world.ts';

async function setup(
  route: Partial<RouteRow>,
  change: Partial<Settings> = {},
): Promise<{ readonly world: World; readonly node: RawNode }> {
  const scope = testScope();
  const node = await startRawNode(scope);
  return { node, world: await startWorld(scope, [node], { route, settings: change }) };
}

const edits = { set: [{ name: 'X-Set', value: 'ours' }], remove: ['x-gone'] };

describe('a route that asks for a field that only proxies set', () => {
  const lines = [
    'X-Forwarded-Proto: https',
    'x-forwarded-for: 192.0.2.1',
    'X-Forwarded-Client: a',
    'Forwarded: for=192.0.2.1',
    'Client-Cert: :eA==:',
    'Client-Cert-Chain: :eA==:',
    'X-Request-Id: a',
  ];
  it.each(lines)('is not taken because a client says %s; a trusted proxy is believed', async (line) => {
    const [name, value] = line.split(': ') as [string, string];
    for (const wanted of [value, null]) {
      const route = { headers: [{ name: name.toLowerCase(), value: wanted }] };
      const { world, node } = await setup(route);
      expect(statusOf(await ask(world.port, get('/', line)))).toBe(404);
      expect(node.connections).toEqual([]);
      const trusting = await setup(route, { trustedProxies: ['127.0.0.1'] });
      expect(statusOf(await ask(trusting.world.port, get('/', line)))).toBe(200);
    }
  });

  it.each([[[]], [['127.0.0.1']]])('X-HA-* of anybody counts for nothing: trusted %j', async (trustedProxies) => {
    const { world } = await setup({ headers: [{ name: 'x-ha-epoch', value: null }] }, { trustedProxies });
    expect(statusOf(await ask(world.port, get('/', 'X-HA-Epoch: 7')))).toBe(404);
  });
});

describe('a client that came to a proxy by https', () => {
  const sent = ['X-Forwarded-Proto: https', 'x-forwarded-proto: HTTPS', 'X-Forwarded-Proto: ftp'];

  it.each([[['127.0.0.1']], [[]]])('is sent on as the proxy says, if it is one of %j', async (trustedProxies) => {
    const action = { kind: 'redirect', to: '{scheme}://www.test{path}', status: 308 } as const;
    const { world } = await setup({ action }, { trustedProxies });
    const told: (string | undefined)[] = [];
    for (const line of sent) told.push(field(await ask(world.port, get('/a', line)), 'location'));
    const scheme = trustedProxies.length > 0 ? 'https' : 'http';
    expect(told).toEqual([`${scheme}://www.test/a`, `${scheme}://www.test/a`, 'http://www.test/a']);
  });

  it.each([[['127.0.0.1']], [[]]])('gets its token for https alone, if the proxy is one of %j', async (trusted) => {
    const made = await primaryWorld({
      ownReads: { mode: 'session' },
      settings: { ...settings, trustedProxies: trusted },
    });
    made.lease(0, 1);
    const cookies: boolean[] = [];
    for (const line of sent) {
      const answer = await ask(made.world.port, post('/w', '', line));
      cookies.push(field(answer, 'set-cookie')?.includes('; Secure') ?? expect.fail('there is no token'));
    }
    expect(cookies).toEqual(trusted.length > 0 ? [true, true, false] : [false, false, false]);
  });
});

describe('interim answers', () => {
  const hints = ['HTTP/1.1 103 Early Hints', 'Link: </a>', 'X-Gone: 1', 'X-Set: theirs', 'X-HA-Position: 7', '', ''];
  const final = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

  async function interimOf(world: World, node: RawNode): Promise<Message> {
    node.respond = (_request, connection) => connection.write(hints.join('\r\n') + final);
    const client = world.client();
    await client.send(get('/'));
    await client.answers(1);
    const [interim] = client.read().messages;
    expect(statusOf(interim!)).toBe(103);
    return interim!;
  }

  it("lose what the route takes from the node's fields", async () => {
    const { world, node } = await setup({ responseFields: edits });
    expect((await interimOf(world, node)).lines).toEqual(['Link: </a>', 'X-HA-Position: 7']);
  });

  it('of a pool with a primary tell no client what nodes tell us', async () => {
    const world = await primaryWorld({ nodes: 1 });
    world.lease(0, 3);
    expect((await interimOf(world.world, world.nodes[0]!)).lines).toEqual(['Link: </a>', 'X-Gone: 1', 'X-Set: theirs']);
  });
});

describe('trailers that are passed on', () => {
  const coded = '2\r\nok\r\n0\r\nX-Gone: 1\r\nx-set: theirs\r\nX_Gone: 1\r\nDigest: d\r\n\r\n';

  async function trailersOf(
    route: Partial<RouteRow>,
    underscore: FieldsConfig['underscore'],
  ): Promise<{ readonly request: readonly string[]; readonly answer: readonly string[] }> {
    const { world, node } = await setup(route, { fields: { ...settings.fields, trailers: true, underscore } });
    node.respond = (_request, connection) =>
      connection.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${coded}`);
    const head = get('/', 'TE: trailers', 'Transfer-Encoding: chunked').replace('GET', 'POST');
    const answer = await ask(world.port, head + coded);
    return { request: node.requests()[0]!.trailers, answer: answer.trailers };
  }
  const all = ['X-Gone: 1', 'x-set: theirs', 'X_Gone: 1', 'Digest: d'];

  it('are not those that the route sets or removes', async () => {
    const left = ['X_Gone: 1', 'Digest: d'];
    expect(await trailersOf({ requestFields: edits }, 'allow')).toEqual({ request: left, answer: all });
    expect(await trailersOf({ responseFields: edits }, 'allow')).toEqual({ request: all, answer: left });
  });

  it.each(['drop', 'reject'] as const)('of a client have no underscore in their names: %s', async (underscore) => {
    const left = ['X-Gone: 1', 'x-set: theirs', 'Digest: d'];
    expect(await trailersOf({}, underscore)).toEqual({ request: left, answer: all });
  });
});
