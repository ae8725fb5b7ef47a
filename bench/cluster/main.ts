/**
 * The cluster's own speed: three members as processes on this machine, asked over their admin API by wrk.
 *
 *   node bench/cluster/main.ts [--seconds 10] [--rounds 3] [--only writes,local-one] [--disk FOLDER] [--out FOLDER]
 *                              [--profile FOLDER] [--note TEXT]
 *
 * In each round: the disk's own rate of syncs, the rate of a bare HTTP server of Node (what one process here could answer
 * at best), quorum writes by 66 clients over the three members and by 64 at the leader alone, reads of what a member has
 * itself, reads that the leader confirms. Members and wrk share this machine's cores, so that its load is a part of the
 * result; it is written beside it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, find, loadAverage, versionOf } from '../load/machine.ts';
import { Place } from '../load/place.ts';
import { Process, usageOf } from '../load/process.ts';
import { quantile } from '../load/statistics.ts';
import { syncTimes } from './disk.ts';
import { leaderOf, type Member, startMembers } from './members.ts';
import { type ClusterResults, clusterMarkdown, type Figure, type Measured } from './report.ts';

const script = fileURLToPath(new URL('./wrk.lua', import.meta.url));
const bareServer = `
  const body = JSON.stringify({ key: 'k', value: 'x'.repeat(100), revision: 1847219813376001, created: 1847219813376001 });
  const head = { 'content-type': 'application/json', 'content-length': body.length };
  require('node:http').createServer((_, reply) => reply.writeHead(200, head).end(body)).listen(+process.argv[1], '127.0.0.1');
`;
const say = (line: string): void => console.log(line);
const round1 = (value: number): number => Math.round(value * 100) / 100;

interface Load {
  /** Those who answer, by their pids. */
  readonly pids: readonly number[];
  readonly wrk: string;
  readonly seconds: number;
  readonly ports: readonly number[];
  readonly clients: number;
  /** `put`, or the path to get. */
  readonly what: string;
}

async function ask({ pids, wrk, seconds, ports, clients, what }: Load): Promise<Measured> {
  const [first] = ports;
  const size = [`-t${ports.length}`, `-c${clients}`, `-d${seconds}s`, '--timeout', '10s', '-s', script];
  const args = [...size, `http://127.0.0.1:${first}/`, '--', what];
  const before = cpuUs(pids);
  const load = new Process({ file: wrk, args, env: { PORTS: ports.join(' ') } });
  await load.ended;
  const line = load.stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`wrk gave no result:\n${load.output}`);
  const { requests, us, p50, p99, errors } = JSON.parse(line) as Record<string, number>;
  return {
    perSecond: Math.round(requests! / (us! / 1e6)),
    p50Ms: round1(p50! / 1000),
    p99Ms: round1(p99! / 1000),
    errors: errors!,
    cpuUs: Math.round((cpuUs(pids) - before) / Math.max(1, requests!)),
    load: loadAverage(),
  };
}

/** That all of them have used so far. */
function cpuUs(pids: readonly number[]): number {
  const used = pids.map(usageOf);
  return used.reduce((sum, { userUs, systemUs }) => sum + userUs + systemUs, 0);
}

function disk(folder: string, seconds: number): Measured {
  const { times, ms } = syncTimes(folder, seconds);
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
  const perSecond = Math.round((times.length * 1000) / ms);
  return { perSecond, p50Ms: round1(p50), p99Ms: round1(p99), errors: 0, cpuUs: null, load: loadAverage() };
}

async function bare(place: Place, load: Pick<Load, 'wrk' | 'seconds'>): Promise<Measured> {
  const port = await place.port();
  const server = place.own(new Process({ file: process.execPath, args: ['-e', bareServer, String(port)] }));
  try {
    for (let tries = 0; ; tries++) {
      const reply = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
      if (reply?.ok) break;
      if (tries > 1000) throw new Error(`the bare server does not answer:\n${server.output}`);
    }
    return await ask({ ...load, pids: [server.pid], ports: [port], clients: 64, what: '/' });
  } finally {
    await place.end(server);
  }
}

interface Wanted {
  readonly seconds: number;
  readonly rounds: number;
  readonly disk: string;
  readonly wrk: string;
  readonly only: readonly string[] | null;
}

async function bench(want: Wanted, place: Place, members: readonly Member[]): Promise<Figure[]> {
  const { seconds, wrk } = want;
  const ports = members.map(({ port }) => port);
  const leader = (await leaderOf(members)).port;
  const follower = ports.find((port) => port !== leader)!;
  const asked = (to: readonly number[], clients: number, what: string) => () =>
    ask({ pids: members.map(({ process: one }) => one.pid), wrk, seconds, ports: to, clients, what });
  const key = '/api/ha/state/bench-1-1';
  const all: readonly (readonly [string, string, () => Measured | Promise<Measured>])[] = [
    ['disk', 'the disk alone: 4 KiB appended and synced, one after the other', () => disk(want.disk, seconds)],
    ['bare', 'a bare HTTP server of Node, 64 clients', () => bare(place, { wrk, seconds })],
    ['writes', 'quorum writes, 66 clients over the three members', asked(ports, 66, 'put')],
    ['writes-leader', 'quorum writes, 64 clients at the leader', asked([leader], 64, 'put')],
    ['local-all', 'local reads, 66 clients over the three members', asked(ports, 66, `${key}?consistency=eventual`)],
    ['local-one', 'local reads, 64 clients at one follower', asked([follower], 64, `${key}?consistency=eventual`)],
    ['current-all', 'quorum reads, 66 clients over the three members', asked(ports, 66, key)],
  ];
  const figures = all.filter(([name]) => want.only?.includes(name) ?? true);
  const rounds = new Map<string, Measured[]>();
  for (let round = 0; round < want.rounds; round++) {
    for (const [name, title, run] of figures) {
      const measured = await run();
      rounds.set(name, [...(rounds.get(name) ?? []), measured]);
      const { perSecond, p50Ms, p99Ms, errors, cpuUs: cpu, load } = measured;
      say(
        `${title}: ${perSecond}/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms, ${errors} errors, CPU ${cpu ?? '-'} us each (load ${load})`,
      );
    }
  }
  return figures.map(([name, title]) => ({ name, title, rounds: rounds.get(name) ?? [] }));
}

async function main(): Promise<void> {
  const string = { type: 'string' } as const;
  const options = {
    seconds: string,
    rounds: string,
    disk: string,
    out: string,
    profile: string,
    only: string,
    note: string,
  };
  const { values } = parseArgs({ options });
  const wrk = find('wrk');
  if (wrk === null) throw new Error('this benchmark is driven by wrk, which is not here: install it');
  const place = new Place();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  try {
    const folder = values.disk === undefined ? place.folder : resolve(values.disk);
    const seconds = Number(values.seconds ?? 10);
    const want: Wanted = {
      seconds,
      rounds: Number(values.rounds ?? 3),
      disk: folder,
      wrk,
      only: values.only?.split(',') ?? null,
    };
    const started = new Date().toISOString();
    const node = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(values.profile)}`];
    const members = await startMembers(place, { disk: folder, node });
    const figures = await bench(want, place, members);
    const machine = { ...describeMachine(), wrk: versionOf(wrk, '-v') };
    const note = values.note ?? '';
    const results: ClusterResults = { started, seconds, rounds: want.rounds, machine, note, figures };
    const out = resolve(values.out ?? fileURLToPath(new URL('../results', import.meta.url)));
    mkdirSync(out, { recursive: true });
    writeFileSync(join(out, 'cluster.json'), `${JSON.stringify(results, null, 2)}\n`);
    writeFileSync(join(out, 'cluster.md'), clusterMarkdown(results));
    say(`\n${clusterMarkdown(results)}\nwritten: cluster.json and cluster.md in ${out}`);
  } finally {
    await place.stop();
  }
}

await main();
