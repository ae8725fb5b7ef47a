/** One evenkeel process with one pool `app`, as its operator, its clients and other balancers see it. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Evenkeel, runCli, startEvenkeel } from '../../helpers/evenkeel.ts';
import { Load } from '../../helpers/load.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import type { Scope } from '../../helpers/scope.ts';
import { patient } from './members.ts';
import { failoverOf, type PoolShown, type ReplicaNode, Writers } from './world.ts';

type NodeShown = PoolShown['nodes'][number] & { readonly detail: string };

interface Cli {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Alone {
  readonly ek: Evenkeel;
  readonly #scope: Scope;

  constructor(ek: Evenkeel, scope: Scope) {
    this.ek = ek;
    this.#scope = scope;
  }

  shown(): Promise<PoolShown> {
    return failoverOf((path) => this.ek.admin(path));
  }

  /** Until it shows these; `why` and `reason` as patterns. */
  state(wanted: Partial<Pick<PoolShown, 'state' | 'primary' | 'epoch'>> & ShownWhy): Promise<PoolShown> {
    const { sent, why, reason, ...plain } = wanted;
    return until(
      `failover ${JSON.stringify(plain)} ${why ?? ''} ${reason ?? ''}`,
      async () => {
        const now = await this.shown();
        const same = Object.entries(plain).every(([key, value]) => now[key as keyof PoolShown] === value);
        const isSent = sent === undefined || now.writes.sent === sent;
        if (same && isSent && matches(now.writes.why, why) && matches(now.reason, reason)) return now;
        throw new Error(JSON.stringify(now));
      },
      patient,
    );
  }

  /** Until a node is shown so. */
  node(id: string, isSo: (node: NodeShown) => boolean): Promise<true> {
    const look = async (): Promise<boolean> => {
      const nodes = (await this.shown()).nodes as readonly NodeShown[];
      if (nodes.some((one) => one.id === id && isSo(one))) return true;
      throw new Error(JSON.stringify(nodes));
    };
    return until(`node ${id} as wanted`, look, patient);
  }

  /** `failover ...` of the command line. */
  cli(...args: readonly string[]): Promise<Cli> {
    return runCli('failover', ...args, '--admin', `127.0.0.1:${this.ek.adminPort}`);
  }

  /** Of the history, oldest first. */
  async history(): Promise<readonly string[]> {
    const answer = await this.ek.admin('/api/ha/failover/history?limit=1000');
    const { events } = (await answer.json()) as { readonly events: readonly { readonly text: string }[] };
    return events.map(({ text }) => text);
  }

  /** Of the metrics: `failover_state{pool="app",state="FAILED"}`, without the prefix. */
  async metric(name: string): Promise<number> {
    const lines = (await (await this.ek.admin('/metrics')).text()).split('\n');
    const found = lines.find((line) => line.startsWith(`evenkeel_${name} `));
    if (found === undefined) throw new Error(`no metric ${name}: ${lines.filter((line) => line.includes('failover'))}`);
    return Number(found.slice(found.lastIndexOf(' ')));
  }

  /** What is in its log. */
  logged(pattern: RegExp): Promise<true> {
    return until(`${pattern} in the log`, () => pattern.test(this.ek.child.output()), patient);
  }

  write(id: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.ek.port}/write?id=${id}`, { method: 'POST', headers });
  }

  read(headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.ek.port}/read`, { headers });
  }

  /** What another balancer's check of this path is answered. */
  async check(path: string): Promise<number> {
    return (await this.ek.admin(path)).status;
  }

  writers(clients = 4): Writers {
    return this.#scope.own(new Writers({ port: this.ek.port, clients }));
  }

  readers(clients = 4): Load {
    const request = (): string => 'GET /read HTTP/1.1\r\nHost: ek.test\r\n\r\n';
    return this.#scope.own(new Load({ port: this.ek.port, clients, request }));
  }
}

interface ShownWhy {
  readonly sent?: boolean;
  readonly why?: RegExp;
  readonly reason?: RegExp;
}

const matches = (text: string, pattern: RegExp | undefined): boolean => pattern === undefined || pattern.test(text);

/** Up, with this pool, whose writes are sent to `a` unless `begun` says how it is to begin. */
export async function startAlone(
  scope: Scope,
  pool: object,
  begun: Parameters<Alone['state']>[0] = { state: 'NORMAL', primary: 'a', epoch: 1, sent: true },
): Promise<Alone> {
  const ek = await startEvenkeel(scope, { pools: { app: pool }, dataDir: await scope.folder() });
  const alone = new Alone(ek, scope);
  await alone.state(begun);
  return alone;
}

/** Until this node has what the other has, and has heard of its epoch. */
export const follows = (node: ReplicaNode, primary: ReplicaNode): Promise<true> =>
  until(
    `${node.name} follows ${primary.name}`,
    async () => {
      const [own, its] = await Promise.all([node.health(), primary.health()]);
      return own.role === 'replica' && own.epoch === its.epoch && own.position === its.position;
    },
    patient,
  );

/** The way from evenkeel to a node alone: cut, its port refuses and nothing passes, while other nodes still reach it. */
export class Link {
  readonly url: string;
  readonly #port: number;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;

  private constructor(port: number, to: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#port = port;
    this.#to = to;
  }

  static async to(scope: Scope, url: string): Promise<Link> {
    const link = scope.own(new Link(await freePort(), Number(new URL(url).port)));
    await link.heal();
    return link;
  }

  async heal(): Promise<void> {
    const server = createServer((from) => {
      const to = connect({ port: this.#to, host: '127.0.0.1' });
      for (const [one, other] of [
        [from, to],
        [to, from],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
  }

  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  stop(): Promise<void> {
    return this.cut();
  }
}
