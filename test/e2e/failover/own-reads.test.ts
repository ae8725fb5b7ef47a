/** Reads after writes: a client reads what it wrote, wherever it asks, though replicas lag behind. */
import http from 'node:http';
import { expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { print, proving } from '../cluster/prove.ts';
import { startMembers } from './members.ts';
import { failoverOf, poolOf, startReplicaNodes } from './world.ts';

const rounds = proving(300, 10_000);
const clients = 8;

interface Reply {
  readonly status: number;
  readonly node: string;
  readonly position: number;
  readonly cookies: readonly string[];
}

/** A client with a cookie jar, which asks another member each time. */
class Client {
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #ports: readonly number[];
  #cookie = '';
  /** Highest position that it wrote. */
  wrote = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  async ask(method: string, path: string): Promise<Reply> {
    const port = this.#ports[Math.floor(Math.random() * this.#ports.length)]!;
    const headers = this.#cookie === '' ? {} : { cookie: this.#cookie };
    const reply = await new Promise<Reply>((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: this.#agent }, (answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        answer.on('error', reject);
        answer.on('end', () => {
          const { node = '', position = -1 } = (body.startsWith('{') ? JSON.parse(body) : {}) as Partial<Reply>;
          resolve({ status: answer.statusCode ?? 0, node, position, cookies: answer.headers['set-cookie'] ?? [] });
        });
      });
      request.on('error', reject);
      request.end();
    });
    for (const cookie of reply.cookies) this.#cookie = cookie.split(';')[0] ?? '';
    return reply;
  }

  close(): void {
    this.#agent.destroy();
  }
}

it(
  `${rounds} writes and reads through members at random, replicas up to 2 s behind: none older than its own write`,
  async () => {
    const scope = testScope();
    // Each shows what it has after a time of its own.
    const nodes = await startReplicaNodes(scope, ['a', 'b', 'c'], { lags: [0, 300, 2000] });
    const members = await startMembers(scope, poolOf(nodes));
    for (const seat of members.seats)
      await until('a primary', async () => (await failoverOf((path) => members.ask(seat, path))).writes.sent, {
        withinMs: 40_000,
      });
    const ports = members.seats.map(({ port }) => port);
    const served = new Map<string, number>();
    const older: string[] = [];
    let id = 0;
    const one = async (): Promise<void> => {
      const client = new Client(ports);
      while (id < rounds) {
        const mine = ++id;
        const write = await client.ask('POST', `/write?id=o${mine}`);
        if (write.status === 200) client.wrote = Math.max(client.wrote, write.position);
        else older.push(`write ${mine}: ${write.status}`);
        // Some read at once, some when the replicas have caught up.
        if (mine % 3 === 0) await pause(Math.random() * 400);
        const read = await client.ask('GET', '/read');
        served.set(read.node, (served.get(read.node) ?? 0) + 1);
        if (read.status !== 200 || read.position < client.wrote)
          older.push(`read ${mine} of ${read.node}: ${read.status}, ${read.position} < ${client.wrote}`);
      }
      client.close();
    };
    await Promise.all(Array.from({ length: clients }, one));
    expect(older).toEqual([]);
    const all = [...served.values()].reduce((sum, count) => sum + count, 0);
    const fromReplicas = all - (served.get('a') ?? 0);
    print(
      `${all} reads, ${((100 * fromReplicas) / all).toFixed(1)} % of them by replicas: ${JSON.stringify([...served])}`,
    );
  },
  proving(120_000, 1_800_000),
);
