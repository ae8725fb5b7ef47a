/**
 * What a pick costs, by algorithm and size of the pool: `node bench/micro/balancers.ts`
 *
 *   idle         all nodes fit, weight 1, nothing in flight
 *   half unfit   every second node has weight 0
 *   uneven       weights 1 to 5
 *   skewed       the first node has weight 1000, the others 1
 *   busy         the node picked gets a request in flight, the one picked 4 x n picks ago loses one
 *   one key      the same, and all requests have one key: the worst for consistent-hash, whose bound sends them on
 *   tried        every pick excludes two nodes
 *
 * Besides: refresh after a change, and of consistent-hash the build, its memory and the share of keys that move.
 */

import { ConsistentHash } from '../../src/balancers/consistent-hash.ts';
import type { Balancer, PickRequest } from '../../src/balancers/contract.ts';
import { type BalancerAlgorithm, createBalancer } from '../../src/balancers/create.ts';
import { Group } from '../../src/balancers/group.ts';
import { hash32 } from '../../src/base/hash.ts';
import { seededRandom } from '../../src/base/random.ts';
import { measure, printTable, type Row, type Timing, writeResults } from './harness.ts';

const algorithms: readonly BalancerAlgorithm[] = [
  'round-robin',
  'weighted',
  'least-connections',
  'random-two',
  'peak-ewma',
  'consistent-hash',
];
const sizes = [3, 100, 10_000];
/** As in the scoreboard: one 64-byte line per node, the count in its fourth cell. */
const layout = { inflightStride: 16, inflightOffset: 3 };

type Load = 'idle' | 'half unfit' | 'uneven' | 'skewed';
const weightOf: Record<Load, (node: number) => number> = {
  idle: () => 1,
  'half unfit': (node) => node % 2,
  uneven: (node) => 1 + (node % 5),
  skewed: (node) => (node === 0 ? 1000 : 1),
};

interface Setup {
  readonly group: Group;
  readonly balancer: Balancer;
}

function setup(algorithm: BalancerAlgorithm, size: number, load: Load): Setup {
  const group = new Group({
    keys: Uint32Array.from({ length: size }, (_, i) => hash32(`10.0.${i >> 8}.${i & 255}:3000`)),
    slots: Int32Array.from({ length: size }, (_, i) => i),
    inflight: new Int32Array(new SharedArrayBuffer(size * layout.inflightStride * 4)),
    ...layout,
  });
  const memory = { ewma: new Float64Array(size).fill(5), stamp: new Float64Array(size) };
  const balancer = createBalancer(algorithm, { group, random: seededRandom(1), memory });
  for (let node = 0; node < size; node++) group.setWeight(node, weightOf[load](node));
  group.rebuildLive();
  balancer.refresh();
  return { group, balancer };
}

function request(): PickRequest {
  return { hash: 0, now: 1000, tried: new Int32Array(8), triedCount: 0 };
}

function pickCost({ balancer }: Setup, triedCount = 0): Timing {
  const wanted = request();
  wanted.tried.set([0, 1]);
  wanted.triedCount = triedCount;
  let key = 0;
  return measure((ops) => {
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      wanted.hash = Math.imul(++key, 0x9e3779b9) >>> 0;
      sum += balancer.pick(wanted);
    }
    return sum;
  });
}

/** Includes counting the request in and another one out, about 25 ns. */
function busyCost({ group, balancer }: Setup, keyStep = 0x9e3779b9): Timing {
  const wanted = request();
  const held = new Int32Array(group.size * 4).fill(-1);
  let at = 0;
  let key = 0;
  const count = (node: number, by: number): void => {
    Atomics.add(group.inflight, node * layout.inflightStride + layout.inflightOffset, by);
  };
  return measure((ops) => {
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      wanted.hash = Math.imul(++key, keyStep) >>> 0;
      const node = balancer.pick(wanted);
      count(node, 1);
      if (held[at]! >= 0) count(held[at]!, -1);
      held[at] = node;
      at = at + 1 === held.length ? 0 : at + 1;
      balancer.done(node, 5, false, 1000);
      sum += node;
    }
    return sum;
  });
}

function refreshCost({ group, balancer }: Setup): Timing {
  let flip = 0;
  return measure((ops) => {
    for (let i = 0; i < ops; i++) {
      const node = ++flip % group.size;
      group.setWeight(node, group.weights[node] === 0 ? 1 : 0);
      group.rebuildLive();
      balancer.refresh();
    }
    return flip;
  });
}

function owners(ids: readonly string[]): Int32Array {
  const size = ids.length;
  const group = new Group({
    keys: Uint32Array.from(ids, (id) => hash32(id)),
    slots: Int32Array.from(ids, (_, i) => i),
    inflight: new Int32Array(size),
    inflightStride: 1,
    inflightOffset: 0,
  });
  const memory = { ewma: new Float64Array(size), stamp: new Float64Array(size) };
  const balancer = new ConsistentHash({ group, random: seededRandom(1), memory });
  for (let node = 0; node < size; node++) group.setWeight(node, 1);
  group.rebuildLive();
  balancer.refresh();
  const wanted = request();
  return Int32Array.from({ length: keyCount(size) }, (_, i) => {
    wanted.hash = hash32(`user-${i}`);
    return balancer.pick(wanted);
  });
}

const keyCount = (size: number): number => Math.max(100_000, size * 1000);
const percent = (share: number): string => `${(share * 100).toFixed(share < 0.01 ? 4 : 2)} %`;

function consistency(size: number): Row {
  const ids = Array.from({ length: size }, (_, i) => `10.0.${i >> 8}.${i & 255}:3000`);
  const before = owners(ids);
  const after = owners([...ids, '10.1.0.0:3000']);
  const moved = before.reduce((sum, owner, i) => sum + (owner === after[i] ? 0 : 1), 0);
  const misled = before.reduce((sum, owner, i) => sum + (owner === after[i] || after[i] === size ? 0 : 1), 0);
  const shares = new Float64Array(size);
  for (const owner of before) shares[owner]! += size / before.length;
  const deviation = Math.sqrt(shares.reduce((sum, share) => sum + (share - 1) ** 2, 0) / size);
  return {
    nodes: size,
    'moved by one more node': percent(moved / before.length),
    'fair share 1/(n+1)': percent(1 / (size + 1)),
    'moved elsewhere': misled,
    'busiest node / mean': Math.max(...shares).toFixed(2),
    'idlest node / mean': Math.min(...shares).toFixed(2),
    'standard deviation': percent(deviation),
  };
}

function buildCost(size: number): Row {
  const { group } = setup('consistent-hash', size, 'idle');
  const options = { group, random: seededRandom(1), memory: { ewma: new Float64Array(0), stamp: new Float64Array(0) } };
  const timing = measure((ops) => {
    let bytes = 0;
    for (let i = 0; i < ops; i++) {
      const balancer = new ConsistentHash(options);
      balancer.refresh();
      bytes += balancer.memory;
    }
    return bytes;
  });
  return {
    nodes: size,
    'build us': micros(timing.median),
    'memory KiB': (new ConsistentHash(options).memory / 1024).toFixed(1),
  };
}

const nanos = (ns: number): string => ns.toFixed(0);
const micros = (ns: number): string => (ns / 1000).toFixed(ns < 10_000 ? 2 : 0);

const picks = algorithms.flatMap((algorithm) =>
  sizes.map((nodes) => {
    const cost = (load: Load): Timing => pickCost(setup(algorithm, nodes, load));
    return {
      algorithm,
      nodes,
      idle: cost('idle'),
      'half unfit': cost('half unfit'),
      uneven: cost('uneven'),
      skewed: cost('skewed'),
      busy: busyCost(setup(algorithm, nodes, 'idle')),
      'one key': busyCost(setup(algorithm, nodes, 'idle'), 0),
      tried: pickCost(setup(algorithm, nodes, 'idle'), 2),
    };
  }),
);
printTable(
  'ns per pick (median)',
  picks.map(({ algorithm, nodes, ...costs }) => ({
    algorithm,
    nodes,
    ...Object.fromEntries(Object.entries(costs).map(([load, cost]) => [load, nanos(cost.median)])),
  })),
);

const refreshes = algorithms.flatMap((algorithm) =>
  sizes.map((nodes) => ({ algorithm, nodes, refresh: refreshCost(setup(algorithm, nodes, 'uneven')) })),
);
printTable(
  'us per refresh, list of live nodes included (median)',
  refreshes.map((row) => ({ algorithm: row.algorithm, nodes: row.nodes, refresh: micros(row.refresh.median) })),
);

const builds = sizes.map(buildCost);
printTable('consistent-hash: build', builds);
const moves = sizes.map(consistency);
printTable('consistent-hash: keys', moves);

writeResults('micro-balancers', { machine: '2 cores, Node 24', unit: 'ns', picks, refreshes, builds, moves });
