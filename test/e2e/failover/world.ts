/** App nodes that replicate (app-node.ts), and clients whose acknowledged writes must not be lost. */
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../../helpers/child.ts';
import { statusOf } from '../../helpers/http-bytes.ts';
import { Load, wordsOf } from '../../helpers/load.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import type { Scope } from '../../helpers/scope.ts';
import type { Place } from '../cluster/processes.ts';
import type { Arrived, Entry, NodeArgs } from './app-node.ts';

const program = fileURLToPath(new URL('./app-node.ts', import.meta.url));

export class ReplicaNode {
  readonly name: string;
  readonly url: string;
  readonly #args: NodeArgs;
  readonly #through: readonly string[];
  #child: Child | null = null;

  constructor(args: NodeArgs, through: readonly string[] = []) {
    this.#args = args;
    this.#through = through;
    this.name = args.name;
    this.url = `http://${args.host}:${args.port}`;
  }

  async start(): Promise<void> {
    const child = new Child(program, { args: [JSON.stringify(this.#args)], through: this.#through });
    this.#child = child;
    await until(`node ${this.name} listens`, () => {
      if (child.exited !== null) throw new Error(child.output());
      return child.stdout.includes('listening');
    });
  }

  /** As a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    await child?.stop();
  }

  /** Stands still, or goes on: its port stays open. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  stop(): Promise<void> {
    return this.kill();
  }

  /** Its log, as it is on its disk. */
  async entries(): Promise<readonly Entry[]> {
    const text = await readFile(join(this.#args.folder, 'log'), 'utf8').catch(() => '');
    // The last line may be under way.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
  }

  /** The last entry on its disk, without reading the others; null: there is none. */
  async newest(): Promise<Entry | null> {
    const file = await open(join(this.#args.folder, 'log')).catch(() => null);
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - 4096);
      const { buffer, bytesRead } = await file.read({ position: from, length: size - from });
      const lines = buffer.subarray(0, bytesRead).toString().split('\n').slice(0, -1);
      const [last] = lines.slice(-1).filter((line) => line.startsWith('{'));
      return last === undefined ? null : (JSON.parse(last) as Entry);
    } finally {
      await file.close();
    }
  }

  /** What came of writes, by the epoch that they carried. */
  async arrived(): Promise<Readonly<Record<string, Arrived>>> {
    return (await fetch(`${this.url}/arrived`)).json() as ReturnType<ReplicaNode['arrived']>;
  }

  async health(): Promise<{ readonly role: string; readonly epoch: number; readonly position: number }> {
    return (await fetch(`${this.url}/health`)).json() as ReturnType<ReplicaNode['health']>;
  }
}

export interface NodesOptions {
  /** By how much each shows later what it has, ms; none. */
  readonly lags?: readonly number[];
  /** Where they run, if not on 127.0.0.1: the first one at this index. */
  readonly place?: { readonly of: Place; readonly from: number };
  /** So many others must have a write before it is acknowledged. Default: one of two others, none of one. */
  readonly copies?: number;
}

/** The first one is primary. */
export async function startReplicaNodes(
  scope: Scope,
  names: readonly string[],
  { lags = [], place, copies = names.length > 2 ? 1 : 0 }: NodesOptions = {},
): Promise<ReplicaNode[]> {
  const hostOf = (index: number): string => place?.of.address(place.from + index) ?? '127.0.0.1';
  const ports = await Promise.all(names.map(() => freePort()));
  const folder = await scope.folder();
  const urls = ports.map((port, index) => `http://${hostOf(index)}:${port}`);
  const nodes = await Promise.all(
    names.map(async (name, index) => {
      const own = join(folder, name);
      await mkdir(own);
      const args: NodeArgs = {
        ...{ name, port: ports[index]!, host: hostOf(index), folder: own },
        peers: urls.filter((_, other) => other !== index),
        role: index === 0 ? 'primary' : 'replica',
        ...{ lagMs: lags[index] ?? 0, copies },
      };
      return scope.own(new ReplicaNode(args, place?.of.through(place.from + index) ?? []));
    }),
  );
  await Promise.all(nodes.map((node) => node.start()));
  return nodes;
}

/** Ids that were acknowledged and when, and what went wrong. */
export class Writers {
  readonly acknowledged: string[] = [];
  /** Of each of them: when its client had the answer, ms since 1970. */
  readonly times: number[] = [];
  /** Of each of them: the epoch in which its node took it. */
  readonly epochs: number[] = [];
  readonly load: Load;
  static #next = 0;

  constructor(options: { readonly port: number; readonly clients: number; readonly thinkMs?: number }) {
    const prefix = `w${++Writers.#next}`;
    let count = 0;
    this.load = new Load({
      ...options,
      request: () => `POST /write?id=${prefix}-${++count} HTTP/1.1\r\nHost: ek.test\r\nContent-Length: 0\r\n\r\n`,
      judge: (answer, request) => {
        if (statusOf(answer) !== 200) return wordsOf(answer);
        this.acknowledged.push(/id=(\S+)/.exec(request)?.[1] ?? '');
        this.times.push(Date.now());
        this.epochs.push(Number(/"epoch":(\d+)/.exec(answer.body)?.[1] ?? 0));
        return null;
      },
    });
  }

  stop(): Promise<void> {
    return this.load.stop();
  }

  /** Acknowledged writes that a log lacks, and ids that it has twice. */
  judge(log: readonly Entry[]): { readonly lost: readonly string[]; readonly doubled: readonly string[] } {
    const seen = new Set<string>();
    const doubled: string[] = [];
    for (const { id } of log) {
      if (seen.has(id)) doubled.push(id);
      seen.add(id);
    }
    return { lost: this.acknowledged.filter((id) => !seen.has(id)), doubled };
  }
}

/** Until the primary takes this node along: from then on no write is answered that it lacks, though none else has it. */
export async function followedBy(node: ReplicaNode, writers: Writers): Promise<void> {
  const soon = { withinMs: 60_000 };
  await until(`${node.name} follows`, async () => (await node.newest()) !== null, soon);
  const before = writers.acknowledged.length;
  await until(`writes that ${node.name} has`, () => writers.acknowledged.length > before + 20, soon);
}

/** The longest time in which none of these writers was told of a write, between two moments; ms. */
export function longestPause(writers: readonly Writers[], from: number, to: number): number {
  const told = writers.flatMap(({ times }) => times.slice(times.findLastIndex((at) => at <= from) + 1));
  let [last, longest] = [from, 0];
  for (const at of [...told.filter((at) => at < to), to].sort((a, b) => a - b)) {
    longest = Math.max(longest, at - last);
    last = at;
  }
  return longest;
}

/** When the first write of an epoch above this one began, by the word of these nodes, ms since 1970; null: none has. */
export async function firstWriteAbove(nodes: readonly ReplicaNode[], epoch: number): Promise<number | null> {
  const newest = await Promise.all(nodes.map((node) => node.newest()));
  const further = nodes.filter((_, index) => (newest[index]?.epoch ?? 0) > epoch);
  const logs = await Promise.all(further.map((node) => node.entries()));
  const firsts = logs.flatMap((log) => log.find((entry) => entry.epoch > epoch)?.at ?? []);
  return firsts.length === 0 ? null : Math.min(...firsts);
}

/** A pool of these nodes with failover and split. */
export const poolOf = (nodes: readonly ReplicaNode[], failover: object = {}): object => ({
  nodes: nodes.map(({ name, url }) => ({ id: name, url })),
  // Patient with silence, since other tests may take the processor; a crash is found by refused connections.
  health: { path: '/health', interval: '500ms', timeout: '10s' },
  failover: {
    recoveryWait: '1s',
    parking: { time: '60s' },
    minInterval: '0s',
    // After one that is late automatic failover rests for minutes.
    promote: { post: '/promote', timeout: '30s' },
    demote: { post: '/demote' },
    rejoin: { post: '/rejoin' },
    ...failover,
  },
  split: {},
});

export interface PoolShown {
  readonly state: string;
  readonly primary: string | null;
  readonly epoch: number;
  readonly reason: string;
  readonly nodes: readonly { readonly id: string; readonly up: boolean | null; readonly returning: boolean }[];
  readonly writes: { readonly sent: boolean; readonly why: string };
  readonly lastChange: ChangeShown | null;
}

/** RFC 3339 in the agreed clock, which all members of one machine show alike. */
export interface ChangeShown {
  readonly chosenAt: string | null;
  readonly fencedAt: string | null;
  readonly openedAt: string | null;
}

export async function failoverOf(ask: (path: string) => Promise<Response>, pool = 'app'): Promise<PoolShown> {
  const answer = await ask('/ha/failover');
  const { pools } = (await answer.json()) as { readonly pools: Readonly<Record<string, PoolShown>> };
  const found = pools[pool];
  if (found === undefined) throw new Error(`no pool ${pool} in /ha/failover`);
  return found;
}
