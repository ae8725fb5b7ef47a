/** One sample: a load on a running proxy, and what the two of them tell. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Figures, Load } from '../contract.ts';
import type { Front } from '../fronts.ts';
import { mostConnections } from '../machine.ts';
import { quantile } from '../statistics.ts';
import type { ClosedLoad, LoadResult, LoadTool } from './closed.ts';
import { burst, Crowd, oneAfterAnother } from './crowd.ts';
import { headOf } from './heads.ts';
import { runOpen } from './open-loop.ts';

export interface Measuring {
  readonly tool: LoadTool;
  readonly seconds: number;
}

const mib = 1024 * 1024;
/** Between two bursts. */
const burstPauseMs = 200;
/** Memory is read when it has not grown for so long, or after so long at most. */
const settledMs = 1000;
const settleAtMostMs = 10_000;

export async function measure(front: Front, load: Load, how: Measuring): Promise<Figures> {
  const figures = await kinds(front, load, how);
  front.assertAlive();
  return figures;
}

function kinds(front: Front, load: Load, how: Measuring): Promise<Figures> {
  switch (load.kind) {
    case 'closed':
    case 'reconnect':
      return closed(front, load, how);
    case 'handshakes':
      return handshakes(front, load, how);
    case 'burst':
      return bursts(front, load, how);
    case 'mixed':
      return mixed(front, load, how);
    case 'open':
      return open(front, load, how);
    case 'reloads':
      return reloads(front, load, how);
    case 'idle':
    case 'stalled':
      return memory(front, load);
  }
}

type Of<K extends Load['kind']> = Extract<Load, { readonly kind: K }>;

function closedLoad(front: Front, load: { path: string; connections: number }, seconds: number): ClosedLoad {
  const { path, connections } = load;
  const { target, headers } = front;
  const hosts = front.subject.setup.routes;
  return { target, path, connections, seconds, headers, hosts, upload: 0, reconnect: false };
}

async function closed(front: Front, load: Of<'closed' | 'reconnect'>, how: Measuring): Promise<Figures> {
  const plain = closedLoad(front, load, how.seconds);
  const upload = 'upload' in load ? load.upload : 0;
  const headers = { ...plain.headers, ...headOf('head' in load ? load.head : 'bare') };
  return withCpu(front, () => how.tool.run({ ...plain, headers, upload, reconnect: load.kind === 'reconnect' }));
}

/** CPU of the proxy while `run` ran, per request that it counted. */
async function withCpu(front: Front, run: () => Promise<LoadResult>): Promise<Figures> {
  const before = front.usage();
  const { requests, seconds, errors, ...percentiles } = await run();
  const after = front.usage();
  if (requests === 0) throw new Error(`${front.subject.label} answered no request in ${seconds} s (${errors} errors)`);
  // What a refusal costs is no figure.
  if (errors * 100 > requests)
    throw new Error(`${front.subject.label} failed ${errors} of ${requests} requests, more than one in a hundred`);
  const user = (after.userUs - before.userUs) / requests;
  const system = (after.systemUs - before.systemUs) / requests;
  const rss = front.residentBytes() / mib;
  return { cpu: user + system, user, system, rate: requests / seconds, ...percentiles, rss, errors };
}

function handshakes(front: Front, load: Of<'handshakes'>, how: Measuring): Promise<Figures> {
  return withCpu(front, async () => {
    const options = { atOnce: load.connections, seconds: how.seconds };
    const { times, errors, seconds } = await oneAfterAnother(front.target, load.path, options);
    return { requests: times.length, seconds, errors, ...percentilesOf(times) };
  });
}

const percentilesOf = (times: readonly number[]): Pick<LoadResult, 'p50' | 'p99' | 'p999'> => ({
  p50: quantile(times, 0.5),
  p99: quantile(times, 0.99),
  p999: quantile(times, 0.999),
});

async function bursts(front: Front, load: Of<'burst'>, how: Measuring): Promise<Figures> {
  const background = how.tool.run(closedLoad(front, load, how.seconds + 1));
  let over = false;
  const done = background.finally(() => {
    over = true;
  });
  const times: number[] = [];
  let errors = 0;
  await pause(burstPauseMs);
  do {
    const answered = await burst(front.target, load.path, load.burst);
    times.push(...answered.times);
    errors += answered.errors;
    await pause(burstPauseMs);
  } while (!over);
  const { requests, seconds } = await done;
  return { ...percentilesOf(times), rate: requests / seconds, rss: front.residentBytes() / mib, errors };
}

async function mixed(front: Front, load: Of<'mixed'>, how: Measuring): Promise<Figures> {
  const bulk = how.tool.run(closedLoad(front, { path: load.bulkPath, connections: load.bulk }, how.seconds));
  const [small, large] = await Promise.all([how.tool.run(closedLoad(front, load, how.seconds)), bulk]);
  const { p50, p99, p999 } = small;
  const rates = { rate: small.requests / small.seconds, bulkRate: large.requests / large.seconds };
  return { p50, p99, p999, ...rates, rss: front.residentBytes() / mib, errors: small.errors + large.errors };
}

/** Half of the time goes directly to a node, for what is added. */
async function open(front: Front, load: Of<'open'>, how: Measuring): Promise<Figures> {
  const { path, rate, connections } = load;
  const common = { path, rate, connections, seconds: how.seconds / 2 };
  const direct = await runOpen({ ...common, target: { ...front.nodes.direct, tls: false } });
  const before = front.usage();
  const { p50, p99, p999, errors, sent } = await runOpen({ ...common, target: front.target });
  const after = front.usage();
  const cpu = (after.userUs + after.systemUs - before.userUs - before.systemUs) / sent;
  const added = { addedP50: p50 - direct.p50, addedP99: p99 - direct.p99 };
  return { p50, p99, p999, ...added, directP50: direct.p50, directP99: direct.p99, cpu, errors };
}

async function reloads(front: Front, load: Of<'reloads'>, how: Measuring): Promise<Figures> {
  const timer = setInterval(() => front.reload(), load.everyMs);
  try {
    return await withCpu(front, () => how.tool.run(closedLoad(front, load, how.seconds)));
  } finally {
    clearInterval(timer);
  }
}

/** How large a crowd can be here: idle connections hold none to a node. */
export const crowdLimit = (load: Load): number => mostConnections(load.kind === 'idle' && !load.webSocket ? 1 : 2);

/** Growth of resident memory per connection. The process is a new one, and was warmed up by a few requests only. */
async function memory(front: Front, load: Of<'idle' | 'stalled'>): Promise<Figures> {
  const count = Math.min(load.count, crowdLimit(load));
  const webSocket = load.kind === 'idle' && load.webSocket;
  const path = load.kind === 'stalled' ? load.path : '/100';
  const before = await settled(front);
  const crowd = new Crowd();
  try {
    await crowd.gather(front.target, { path, count, webSocket, stalled: load.kind === 'stalled' });
    const after = await settled(front);
    const there = count - crowd.lost;
    // Of a crowd that lost more than one in a hundred there is no figure.
    const perConnection = crowd.lost * 100 > count ? Number.NaN : (after - before) / 1024 / there;
    return { perConnection, connections: there, rss: after / mib, errors: crowd.lost };
  } finally {
    crowd.close();
  }
}

/** Resident bytes once they stand still. */
async function settled(front: Front): Promise<number> {
  const deadline = performance.now() + settleAtMostMs;
  let last = front.residentBytes();
  let since = performance.now();
  while (performance.now() - since < settledMs && performance.now() < deadline) {
    await pause(100);
    const now = front.residentBytes();
    if (Math.abs(now - last) > last / 200) {
      last = now;
      since = performance.now();
    }
  }
  return front.residentBytes();
}
