/** /metrics after real traffic: valid for Prometheus, and what it counts is what happened. */
import { spawn } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Evenkeel, startEvenkeel } from '../helpers/evenkeel.ts';
import { startAppNodes } from '../helpers/nodes.ts';
import { until } from '../helpers/poll.ts';
import { ask, get } from '../helpers/raw-client.ts';
import { fileScope } from '../helpers/scope.ts';

const scope = fileScope();
let ek: Evenkeel;
let text: string;

beforeAll(async () => {
  const nodes = await startAppNodes(scope, 'a', 'b');
  ek = await startEvenkeel(scope, {
    workers: 2,
    pools: {
      app: {
        nodes: nodes.map((node) => ({ id: node.name, url: node.url })),
        health: { path: '/health', timeout: '10s', interval: '100ms', fall: 1 },
      },
    },
  });
  await ek.fit(2);
  for (let i = 0; i < 20; i++) await ask(ek.port, get('/'));
  for (let i = 0; i < 5; i++) await ask(ek.port, get('/status?code=500'));
  await ask(ek.port, 'GET / HTTP/1.1\r\nHost: ek.test\r\nX : y\r\n\r\n');
  await nodes[1]!.kill();
  await ek.fit(1);
  await until('everything settled', async () => (await ek.pool()).active === 0);
  text = await (await ek.admin('/metrics')).text();
});

function promtool(input: string): Promise<{ code: number | null; output: string } | null> {
  return new Promise((resolve) => {
    const child = spawn('promtool', ['check', 'metrics']);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.once('error', () => resolve(null));
    child.once('close', (code) => resolve({ code, output }));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Sum of a counter over all its labels, or over those that hold this one. */
function total(name: string, label = ''): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`evenkeel_${name}_total{`) && line.includes(label));
  expect(lines).not.toEqual([]);
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

describe('/metrics', () => {
  it('passes promtool check metrics', async (context) => {
    const checked = await promtool(text);
    if (checked === null) return context.skip('promtool is not installed (Debian: prometheus)');
    expect(checked).toEqual({ code: 0, output: '' });
  });

  it('counts what happened', () => {
    // The one that was refused never came to a route.
    expect(total('listener_requests')).toBe(26);
    expect(total('listener_responses', 'code="4xx"')).toBe(1);
    expect(total('requests_refused', 'reason="bad-field"')).toBe(1);
    for (const of of ['route', 'pool', 'node']) expect(total(`${of}_requests`)).toBe(25);
    for (const of of ['listener', 'route', 'node']) {
      expect(total(`${of}_responses`, 'code="2xx"')).toBe(20);
      expect(total(`${of}_responses`, 'code="5xx"')).toBe(5);
    }
  });

  it('has no label that a client could fill', () => {
    expect(text).not.toMatch(/path=|host=|address=|client=/);
    expect(text).not.toContain('ek.test');
  });

  it('agrees with /stats', async () => {
    const pool = await ek.pool();
    expect(pool.counters.requests).toBe(25);
    expect(pool.nodes.reduce((sum, node) => sum + node.counters.status5xx, 0)).toBe(5);
    expect(pool.nodes.reduce((sum, node) => sum + node.counters.status2xx, 0)).toBe(20);
    expect((await ek.stats()).refused).toEqual({ 'bad-field': 1 });
    expect(pool.latency.count).toBeGreaterThanOrEqual(25);
  });
});
