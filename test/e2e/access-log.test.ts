/** The access log: one line per request, always valid, whatever the request says. */

import { readFile, rename } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startEvenkeel } from '../helpers/evenkeel.ts';
import { startAppNode } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get, RawClient } from '../helpers/raw-client.ts';
import { testScope } from '../helpers/scope.ts';

const linesOf = async (file: string): Promise<string[]> => (await readFile(file, 'utf8')).split('\n').slice(0, -1);

describe('json', () => {
  it('a line per request with where it went and how it ended', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const folder = await scope.folder();
    const file = `${folder}/access.log`;
    const ek = await startEvenkeel(scope, {
      log: { access: 'json', accessFile: file },
      routes: [{ name: 'all', path: '/', pool: 'app' }],
      pools: { app: { nodes: [{ id: 'a', url: node.url }] } },
    });
    await ek.fit(1);
    await ask(ek.port, get('/fields?x=y', 'User-Agent: "quoted" \x80'));
    await ask(ek.port, get('/status?code=404'));
    await ask(ek.port, 'GET /bad HTTP/1.1\r\nHost: ek.test\r\nX : y\r\n\r\n');
    await ask(ek.port, 'POST /echo HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 5\r\n\r\nhello');
    const aborted = scope.own(new RawClient(ek.port));
    await aborted.send(get('/hold'));
    await until('held', async () => (await node.stats()).held === 1);
    aborted.socket.resetAndDestroy();

    const lines = await until('five lines', async () => {
      const all = await linesOf(file);
      return all.length >= 5 && all.map((line) => JSON.parse(line) as Record<string, unknown>);
    });
    expect(lines.length).toBe(5);
    expect(lines[0]).toMatchObject({
      method: 'GET',
      path: '/fields?x=y',
      status: 200,
      node: 'a',
      pool: 'app',
      end: 'ok',
    });
    expect(lines[0]).toMatchObject({ route: 'all', client: '127.0.0.1', host: 'ek.test', proto: 'HTTP/1.1', tries: 1 });
    expect(lines[1]).toMatchObject({ status: 404, end: 'ok' });
    expect(lines[2]).toMatchObject({ status: 400, end: 'bad_request' });
    expect(lines[3]).toMatchObject({ method: 'POST', status: 200, end: 'ok' });
    expect(lines[3]?.['bytes_in']).toBeGreaterThanOrEqual(5);
    expect(lines[4]).toMatchObject({ path: '/hold', status: 499, end: 'client_abort' });
    expect(new Set(lines.map((line) => line['id'])).size).toBe(5);
    for (const line of lines) expect(Number.isNaN(Date.parse(String(line['time'])))).toBe(false);
  });

  it('hostile bytes stay within one line', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const file = `${await scope.folder()}/access.log`;
    const ek = await startEvenkeel(scope, {
      log: { access: 'json', accessFile: file },
      pools: { app: { nodes: [node.url] } },
    });
    await ek.fit(1);
    const hostile = ['/"}{"status":200,"x":"', '/%0d%0aGET', '/\\u000a\\n', "/'$(x)", '/%1b[31m', '/<script>'];
    for (const target of hostile) await ask(ek.port, get(target, 'User-Agent: \t"\\\x9b', 'Referer: {"a":\xff}'));
    await ask(ek.port, 'GET /\x1b[31m\x00 HTTP/1.1\r\nHost: ek.test\r\n\r\n');
    await ask(ek.port, 'GET / HTTP/1.1\r\nHost: "\r\n\r\n');
    const lines = await until('all lines', async () => {
      const all = await linesOf(file);
      return all.length >= hostile.length + 2 && all;
    });
    expect(lines.length).toBe(hostile.length + 2);
    for (const line of lines) {
      expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      JSON.parse(line);
    }
    expect(lines.slice(0, hostile.length).map((line) => JSON.parse(line).path)).toEqual(hostile);
  });

  it('as many lines as requests under load, and a new file after SIGUSR2', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const file = `${await scope.folder()}/access.log`;
    const ek = await startEvenkeel(scope, {
      workers: 2,
      log: { access: 'json', accessFile: file },
      pools: { app: { nodes: [node.url] } },
    });
    await ek.fit(1);
    const requests = async (): Promise<void> => {
      const client = scope.own(new RawClient(ek.port));
      await client.send(get('/').repeat(50));
      await client.answers(50);
    };
    await Promise.all(Array.from({ length: 20 }, requests));
    await until('1000 lines', async () => (await linesOf(file)).length === 1000);
    await rename(file, `${file}.1`);
    ek.child.kill('SIGUSR2');
    await until('a new file', async () => {
      await requests();
      return (await linesOf(file)).length > 0;
    });
    await until('a line for each', async () => {
      const { listeners, threads } = await ek.stats();
      const counted = listeners.reduce((sum, one) => sum + one.counters.requests, 0);
      const dropped = threads.reduce((sum, one) => sum + one.counters.accessLinesDropped, 0);
      return dropped === 0 && (await linesOf(file)).length + (await linesOf(`${file}.1`)).length === counted;
    });
    for (const line of [...(await linesOf(file)), ...(await linesOf(`${file}.1`))]) JSON.parse(line);
  });
});

describe('combined', () => {
  it('is what the tools of Apache and nginx read', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const file = `${await scope.folder()}/access.log`;
    const ek = await startEvenkeel(scope, {
      log: { access: 'combined', accessFile: file },
      pools: { app: { nodes: [node.url] } },
    });
    await ek.fit(1);
    await ask(ek.port, get('/x?y', 'User-Agent: curl/8 "x"', 'Referer: http://r.test/'));
    const [line] = await until('a line', async () => {
      const all = await linesOf(file);
      return all.length === 1 && all;
    });
    expect(line).toMatch(
      /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET \/x\?y HTTP\/1\.1" 200 \d+ "http:\/\/r\.test\/" "curl\/8 .*x.*"$/,
    );
  });
});

describe('standard output', () => {
  it('has the lines where no file is named', async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'a');
    const ek = await startEvenkeel(scope, { log: { access: 'json' }, pools: { app: { nodes: [node.url] } } });
    await ek.fit(1);
    await ask(ek.port, get('/x'));
    const [line] = await until('a line', () => {
      const all = ek.accessLines();
      return all.length > 0 && all;
    });
    expect(line).toMatchObject({ path: '/x', status: 200 });
  });
});
