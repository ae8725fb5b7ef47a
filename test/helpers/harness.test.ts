/** The harness itself: it must be able to fail. Run straight against nodes, with no proxy between. */
import { describe, expect, it } from 'vitest';
import { Load } from './load.ts';
import { startAppNode } from './nodes.ts';
import { patternHash } from './pattern.ts';
import { until } from './poll.ts';
import { get, RawClient } from './raw-client.ts';
import { startRawNode } from './raw-node.ts';
import { testScope } from './scope.ts';
import { download, mirror, upload } from './stream-client.ts';

describe('load', () => {
  it('sees none against a node that lives, and every break when it dies', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const load = scope.own(new Load({ port: node.port, clients: 8 }));
    await until('answers', () => (load.byNode.get('a') ?? 0) > 200);
    expect(load.reasons()).toEqual({});
    await node.kill();
    await until('failures', () => load.failures.length > 8);
    await load.stop();
    expect(load.reasons()).toHaveProperty('refused');
    await node.start();
    expect((await node.stats()).requests).toBe(0);
  });

  it('tells a wrong status, a cut answer and a silent close apart', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    const answers = [
      'HTTP/1.1 502 Bad\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel',
      '',
    ];
    let next = 0;
    node.respond = (_request, connection) => {
      connection.write(answers[next++ % 3]!);
      connection.socket.end();
    };
    const load = scope.own(new Load({ port: node.port, clients: 1 }));
    await until('three failures', () => load.failures.length >= 3);
    await load.stop();
    expect(Object.keys(load.reasons()).toSorted()).toEqual([
      'HTTP/1.1 502 Bad',
      'closed before the answer',
      'closed within the answer',
    ]);
  });

  it('a connection that was closed while idle is no failure', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.respond = (_request, connection) => {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      setImmediate(() => connection.socket.end());
    };
    const load = scope.own(new Load({ port: node.port, clients: 2, thinkMs: 10 }));
    await until('answers', () => load.answered > 20);
    await load.stop();
    expect(load.reasons()).toEqual({});
  });
});

describe('bodies', () => {
  it('are hashed as they come, and the hash knows one bit from another', async () => {
    const scope = testScope();
    const { port } = await startAppNode(scope, 'a');
    const bytes = 300_001;
    const whole = { bytes, sha256: patternHash(bytes) };
    expect(await download(port, `/big?bytes=${bytes}`)).toEqual({ ...whole, status: 200, chunked: false });
    expect(await download(port, `/chunked?bytes=${bytes}`)).toEqual({ ...whole, status: 200, chunked: true });
    expect(await upload(port, '/echo', { bytes, chunked: true })).toEqual({ node: 'a', ...whole });
    expect(await mirror(port, bytes)).toEqual(whole);
    expect(patternHash(bytes)).not.toBe(patternHash(bytes + 1));
    await expect(upload(port, '/echo', { bytes, chunked: false })).resolves.toMatchObject(whole);
  });
});

describe('app node', () => {
  it('holds, releases, counts probes, changes its health, comes back on its port', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const client = scope.own(new RawClient(node.port));
    await client.send(get('/health'));
    await client.answers(1);
    await node.setHealth(503);
    await client.send(get('/health'));
    expect((await client.answers(2))[1]?.start).toBe('HTTP/1.1 503 Service Unavailable');
    await client.send(get('/hold'));
    await until('held', async () => (await node.stats()).held === 1);
    await node.release();
    expect((await client.answers(3))[2]?.body).toBe('a\n');
    expect(await node.stats()).toMatchObject({ requests: 1, probes: 2, probesBeforeTraffic: 2, held: 0 });
  });
});

describe('polling', () => {
  it('says what it waited for and what it saw last', async () => {
    await expect(until('the moon', () => 0, { withinMs: 30 })).rejects.toThrow(
      'the moon: not within 30 ms; seen last: 0',
    );
    const throws = (): never => {
      throw new Error('no moon');
    };
    await expect(until('the moon', throws, { withinMs: 30 })).rejects.toThrow('no moon');
  });
});
