/**
 * Membership at scale: real machines over the virtual network of the tests. No time passes but the simulated.
 *
 *   node bench/cluster/swim-scale.ts                 10, 100 and 1 000 members
 *   node bench/cluster/swim-scale.ts --quick         10 and 100, shorter
 *   node --max-old-space-size=16000 bench/cluster/swim-scale.ts --members 5000          7 GB, without loss
 *                                                       ... --members 5000 --loss 10    and 10 s at each rate of loss
 *
 * Measured: from a crash to the first suspicion, to the first member that holds it dead, to the last one; suspicions
 * and deaths of living members at 10 % and 30 % loss; bytes per member and second, before sealing and without UDP and
 * IP headers. Writes bench/results/swim-scale.json and .md.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { seededRandom } from '../../src/base/random.ts';
import type { SyncEntry } from '../../src/cluster/swim/messages.ts';
import type { SwimEvent } from '../../src/cluster/swim/model.ts';
import { Swim } from '../../src/cluster/swim/swim.ts';
import { type Host, Net } from '../../test/cluster/swim/net.ts';
import { addressOf, claimOf, idOf, metadata } from '../../test/cluster/swim/world.ts';

const second = 1000;

interface Plan {
  readonly members: number;
  /** Separate clusters, each with its own seed, and crashes at once in each. */
  readonly clusters: number;
  readonly crashes: number;
  /** Simulated time under loss. */
  readonly lossSeconds: number;
}

interface Row {
  readonly members: number;
  readonly crashes: number;
  readonly firstSuspicion: Spread;
  readonly firstDeath: Spread;
  readonly allKnow: Spread;
  readonly quiet: Traffic;
  readonly loss: readonly Loss[];
  readonly cpuSeconds: number;
}

interface Spread {
  readonly median: number;
  readonly max: number;
}

interface Traffic {
  readonly bytesPerMemberSecond: number;
  readonly datagramsPerMemberSecond: number;
}

interface Loss extends Traffic {
  readonly loss: number;
  readonly seconds: number;
  readonly suspicionsPerMemberHour: number;
  readonly falseDeaths: number;
}

/** A cluster in which everybody knows everybody, settled. */
function cluster(members: number, seed: number): { net: Net; hosts: Host[] } {
  const random = seededRandom(seed);
  const net = new Net(random, { codec: false });
  const entries: SyncEntry[] = Array.from({ length: members }, (_, n) => ({ claim: claimOf(n), status: 'alive' }));
  const hosts = entries.map((_, n) => {
    const self = { id: idOf(n), boot: 1, name: `m${n}`, address: addressOf(n), metadata };
    const swim = new Swim({ self }, seededRandom(random.below(2 ** 31)));
    swim.step(0, { kind: 'join', seeds: [addressOf((n + 1) % members)] });
    const { stream } = swim.take().open[0]!;
    const sender = { id: idOf((n + 1) % members), boot: 1, incarnation: 1, score: 0 };
    // Not of itself: it would refute that, and have it told to all.
    const others = entries.filter((_entry, i) => i !== n);
    swim.step(0, { kind: 'answer', stream, answer: { kind: 'sync', sender, entries: others, sights: [] } });
    swim.take();
    return net.add(addressOf(n), swim);
  });
  for (const host of hosts) net.give(host, { kind: 'tick' });
  net.runUntil(40 * second);
  return { net, hosts };
}

function traffic(net: Net, hosts: readonly Host[], seconds: number): Traffic {
  for (const host of hosts) host.bytesSent = host.datagramsSent = 0;
  net.runUntil(net.now + seconds * second);
  const sum = (of: (host: Host) => number): number => hosts.reduce((total, host) => total + of(host), 0);
  const per = (total: number): number => total / hosts.length / seconds;
  return {
    bytesPerMemberSecond: per(sum((host) => host.bytesSent)),
    datagramsPerMemberSecond: per(sum((host) => host.datagramsSent)),
  };
}

interface Times {
  readonly suspicion: number[];
  readonly death: number[];
  readonly known: number[];
}

/** Crashes at once, and waits until all the others hold them dead. */
function crash(net: Net, hosts: readonly Host[], times: Times, crashes: number): void {
  const at = net.now;
  const left = hosts.length - crashes;
  const known = new Map<string, { suspectedAt: number; deadAt: number; by: number }>();
  net.onEvent = (_, event) => {
    if (event.kind !== 'suspected' && event.kind !== 'dead') return;
    const facts = known.get(event.claim.id);
    if (facts === undefined) return;
    if (event.kind === 'suspected') facts.suspectedAt = Math.min(facts.suspectedAt, net.now - at);
    else if (facts.by++ === 0) facts.deadAt = net.now - at;
    if (event.kind === 'dead' && facts.by === left) times.known.push(net.now - at);
  };
  const step = Math.floor(hosts.length / crashes);
  for (let i = 0; i < crashes; i++) {
    known.set(idOf(i * step), { suspectedAt: Number.POSITIVE_INFINITY, deadAt: Number.POSITIVE_INFINITY, by: 0 });
    net.crash(hosts[i * step]!);
  }
  for (let i = 0; i < 240 && [...known.values()].some((facts) => facts.by < left); i++) net.runUntil(net.now + second);
  for (const facts of known.values()) {
    times.suspicion.push(facts.suspectedAt);
    times.death.push(facts.deadAt);
    if (facts.by < left) times.known.push(Number.POSITIVE_INFINITY);
  }
}

function underLoss(plan: Plan, loss: number): Loss {
  const { net, hosts } = cluster(plan.members, 7);
  const ids = new Map(hosts.map((host, n) => [host, idOf(n)]));
  net.faults.loss = loss;
  let [suspicions, falseDeaths] = [0, 0];
  // Counted where it is declared, not where it is heard of.
  net.onEvent = (host: Host, event: SwimEvent) => {
    if (event.kind !== 'dead' && event.kind !== 'suspected') return;
    if (event.by !== ids.get(host)) return;
    if (event.kind === 'dead') falseDeaths++;
    else suspicions++;
  };
  const measured = traffic(net, hosts, plan.lossSeconds);
  const memberHours = (plan.members * plan.lossSeconds) / 3600;
  return {
    loss,
    seconds: plan.lossSeconds,
    suspicionsPerMemberHour: suspicions / memberHours,
    falseDeaths,
    ...measured,
  };
}

function spread(times: readonly number[]): Spread {
  const sorted = [...times].sort((a, b) => a - b).map((ms) => ms / second);
  return { median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}

function measure(plan: Plan): Row {
  const start = process.cpuUsage();
  const times: Times = { suspicion: [], death: [], known: [] };
  let quiet: Traffic | null = null;
  for (let seed = 1; seed <= plan.clusters; seed++) {
    const { net, hosts } = cluster(plan.members, seed);
    quiet ??= traffic(net, hosts, 60);
    crash(net, hosts, times, plan.crashes);
  }
  const loss = plan.lossSeconds === 0 ? [] : [0.1, 0.3].map((share) => underLoss(plan, share));
  const { user, system } = process.cpuUsage(start);
  return {
    members: plan.members,
    crashes: plan.clusters * plan.crashes,
    firstSuspicion: spread(times.suspicion),
    firstDeath: spread(times.death),
    allKnow: spread(times.known),
    quiet: quiet!,
    loss,
    cpuSeconds: (user + system) / 1e6,
  };
}

const fixed = (value: number, digits = 1): string => value.toFixed(digits);
const pair = ({ median, max }: Spread): string => `${fixed(median)} / ${fixed(max)}`;

function markdown(rows: readonly Row[]): string {
  const table = (head: readonly string[], lines: readonly (readonly string[])[]): string =>
    [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const detection = table(
    [
      'members',
      'crashes',
      'first suspicion, s',
      'first holds it dead, s',
      'all hold it dead, s',
      'quiet, bytes/s',
      'quiet, datagrams/s',
    ],
    rows.map((row) => [
      `${row.members}`,
      `${row.crashes}`,
      pair(row.firstSuspicion),
      pair(row.firstDeath),
      pair(row.allKnow),
      fixed(row.quiet.bytesPerMemberSecond, 0),
      fixed(row.quiet.datagramsPerMemberSecond),
    ]),
  );
  const losses = table(
    ['members', 'loss', 'simulated', 'false suspicions per member and hour', 'false deaths', 'bytes/s'],
    rows.flatMap((row) =>
      row.loss.map((one) => [
        `${row.members}`,
        `${one.loss * 100} %`,
        `${one.seconds} s`,
        fixed(one.suspicionsPerMemberHour),
        `${one.falseDeaths}`,
        fixed(one.bytesPerMemberSecond, 0),
      ]),
    ),
  );
  return `Times: median / longest. Bytes and datagrams: sent per member.\n\n${detection}\n\n${losses}\n`;
}

function plansOf(): readonly Plan[] {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, members: { type: 'string' }, loss: { type: 'string' } },
  });
  const ten: Plan = { members: 10, clusters: 20, crashes: 1, lossSeconds: 3600 };
  const hundred: Plan = { members: 100, clusters: 4, crashes: 5, lossSeconds: 600 };
  if (values.members !== undefined) {
    const lossSeconds = Number(values.loss ?? (values.members === '5000' ? 0 : 120));
    return [{ members: Number(values.members), clusters: 1, crashes: 20, lossSeconds }];
  }
  if (values.quick === true)
    return [
      { ...ten, clusters: 5, lossSeconds: 300 },
      { ...hundred, clusters: 1, lossSeconds: 60 },
    ];
  return [ten, hundred, { members: 1000, clusters: 1, crashes: 20, lossSeconds: 60 }];
}

const rows: Row[] = [];
for (const plan of plansOf()) {
  const row = measure(plan);
  rows.push(row);
  console.log(`${row.members} members: ${fixed(row.cpuSeconds)} s of CPU`);
}
console.log(`\n${markdown(rows)}`);
const folder = new URL('../results/', import.meta.url);
mkdirSync(folder, { recursive: true });
const suffix =
  process.argv.length > 2
    ? `-${process.argv
        .slice(2)
        .join('')
        .replaceAll(/[^a-z0-9]/g, '')}`
    : '';
writeFileSync(new URL(`swim-scale${suffix}.json`, folder), `${JSON.stringify(rows, null, 2)}\n`);
writeFileSync(new URL(`swim-scale${suffix}.md`, folder), markdown(rows));
