/**
 * What follows for the nodes of one pool together: which of them take traffic.
 *
 *   eligible = the operator wants it, and the node itself, and its checks pass
 *   fit      = eligible and not ejected
 *
 * Two rules keep ejections from doing more harm than the errors that they answer:
 * - at most maxEjected of the pool's nodes are out at once (but one may always be, unless it is 0);
 * - if no eligible node would be left, every ejected one is used.
 * They hold at every moment: an ejection in force is suspended when the other nodes fall away.
 * Panic: if fewer than panicThreshold of the nodes are fit, all that the operator wants are used, whatever their
 * checks say: too few nodes under full load fall too. Nodes not probed yet neither start nor count for it.
 * Nodes of weight 0 take no traffic and so are no comfort: they count neither as fit nor as missing.
 */
import type { Millis } from '../base/ids.ts';
import type { Verdict, Wish } from '../base/node-state.ts';
import type { Fitness } from './contract.ts';

export interface NodeFacts {
  readonly wish: Wish;
  /** The node's own word: false if its health answer says drain or maint. */
  readonly willing: boolean;
  readonly verdict: Verdict;
  readonly ejection: 'in' | 'ejected' | 'probation';
  /** When its ejection ends or ended; of no meaning while in. */
  readonly until: Millis;
  /** Configured weight, scaled by slow start and by the node's own answer. */
  readonly weight: number;
}

export interface PoolLimits {
  readonly maxEjected: number;
  readonly panicThreshold: number;
}

/** `spared`: ejected (or on probation), but used all the same. `panic`: used only because the pool is in panic. */
export type Reason = 'plain' | 'spared' | 'panic';

export interface NodeDecision {
  readonly fitness: Fitness;
  readonly weight: number;
  readonly reason: Reason;
}

export interface PoolDecision {
  /** In the order of the facts. */
  readonly nodes: readonly NodeDecision[];
  readonly panic: boolean;
  /** Nodes that are fit and have weight, panic aside. */
  readonly fit: number;
}

const unfit: NodeDecision = { fitness: 'unfit', weight: 0, reason: 'plain' };

/** Judges all nodes of a pool. `wasPanic`: whether it is in panic now. */
export function decide(nodes: readonly NodeFacts[], limits: PoolLimits, wasPanic: boolean): PoolDecision {
  const spared = sparedNodes(nodes, limits);
  const plain = nodes.map((node, i) => decideNode(node, spared.has(i)));
  const fit = countFit(plain);
  const panic = isPanic(nodes, fit, { threshold: limits.panicThreshold, wasPanic });
  if (!panic) return { nodes: plain, panic, fit };
  return { nodes: plain.map((decision, i) => inPanic(nodes[i]!, decision)), panic, fit };
}

/** True if the node at `index` may be ejected now: within maxEjected, and another one is left to take its share. */
export function mayEject(nodes: readonly NodeFacts[], index: number, limits: PoolLimits): boolean {
  const node = nodes[index];
  if (node === undefined || !isEligible(node) || node.ejection !== 'in') return false;
  const out = nodes.filter((other) => other.ejection !== 'in').length;
  if (out + 1 > ejectLimit(nodes.length, limits)) return false;
  return nodes.some((other, i) => i !== index && isEligible(other) && other.ejection === 'in' && other.weight > 0);
}

function ejectLimit(total: number, limits: PoolLimits): number {
  return limits.maxEjected === 0 ? 0 : Math.max(1, Math.floor(total * limits.maxEjected));
}

/** Whether it takes traffic unless traffic itself has ejected it. */
export function isEligible(node: NodeFacts): boolean {
  return node.wish === 'ready' && node.willing && (node.verdict === 'healthy' || node.verdict === 'degraded');
}

/** Ejected nodes that are used all the same; those whose time is over first. */
function sparedNodes(nodes: readonly NodeFacts[], limits: PoolLimits): ReadonlySet<number> {
  const out: number[] = [];
  let left = false;
  nodes.forEach((node, i) => {
    if (node.ejection !== 'in') out.push(i);
    else if (isEligible(node) && node.weight > 0) left = true;
  });
  if (out.length === 0) return noNodes;
  const limit = left ? ejectLimit(nodes.length, limits) : 0;
  if (out.length <= limit) return noNodes;
  out.sort((a, b) => nodes[a]!.until - nodes[b]!.until);
  return new Set(out.slice(0, out.length - limit));
}
const noNodes: ReadonlySet<number> = new Set();

function decideNode(node: NodeFacts, spared: boolean): NodeDecision {
  if (!isEligible(node) || (node.ejection === 'ejected' && !spared)) return unfit;
  if (node.ejection === 'in') return { fitness: 'fit', weight: node.weight, reason: 'plain' };
  if (spared) return { fitness: 'fit', weight: node.weight, reason: 'spared' };
  return { fitness: 'probation', weight: node.weight, reason: 'plain' };
}

function inPanic(node: NodeFacts, decision: NodeDecision): NodeDecision {
  if (decision.fitness === 'fit' || node.wish !== 'ready' || !node.willing) return decision;
  return { fitness: 'fit', weight: node.weight, reason: 'panic' };
}

function countFit(nodes: readonly NodeDecision[]): number {
  return nodes.reduce((count, node) => count + (node.fitness === 'fit' && node.weight > 0 ? 1 : 0), 0);
}

function isPanic(nodes: readonly NodeFacts[], fit: number, context: { threshold: number; wasPanic: boolean }): boolean {
  if (context.threshold === 0) return false;
  const wanted = nodes.filter((node) => node.wish === 'ready' && node.willing && node.weight > 0);
  const known = wanted.filter((node) => node.verdict !== 'unknown').length;
  if (known === 0 || fit >= known * context.threshold) return false;
  return known === wanted.length || context.wasPanic;
}
