/**
 * Which route a request takes: the first in the order of the config whose every condition holds, found without
 * looking at the others.
 *
 *   host ──> exact   Map(host)   ─┐
 *        ──> *.tail  Map(suffix) ─┼─> tree of path segments ──> candidates at each node passed, in config order
 *        ──> any                 ─┘        /  →  v1  →  users
 *
 * A candidate carries its place in the config; the lowest place that passes wins, across exact hosts, wildcards and
 * any. Paths and hosts of thousands of parts cost no more than the config's deepest path and wildcard.
 *
 * The index knows rows by number and nothing of pools: it outlives every change of a pool.
 * What it does not do: many routes on the very same host and path that differ only in method or listener, or in the
 * presence of a field, are tried one by one (exact field values are indexed).
 */
import type { PathMatch } from '../config/model.ts';
import { type Candidate, candidateOf, type ListenerSlots } from './candidates.ts';
import { bestInTree, candidatesAt, PathNode } from './path-tree.ts';
import type { RequestFacts, RouteRow } from './snapshot.ts';

/** Rows between two yields: about a quarter of a millisecond of work. */
const rowsPerStep = 200;

const none = Number.MAX_SAFE_INTEGER;
const everyPath = { kind: 'prefix', value: '/' } as const;

export interface RouteIndex {
  /** Number of the first row that matches; -1 if none. No allocation but the slices that are looked up. */
  find(facts: RequestFacts): number;
}

/** Compiles the rows, in steps of a few hundred. */
export function* compileIndex(rows: readonly RouteRow[], listeners: ListenerSlots): Generator<void, RouteIndex> {
  const index = new HostIndex();
  for (let order = 0; order < rows.length; order++) {
    if (order > 0 && order % rowsPerStep === 0) yield;
    index.add(rows[order]!, order, listeners);
  }
  return index;
}

/** Whether it takes every path, of every method, over every listener. */
const takesAll = (path: PathMatch, { methods, listeners, headers }: Candidate): boolean =>
  path.kind === 'prefix' && path.value === '/' && methods === null && listeners === null && headers === null;

class HostIndex implements RouteIndex {
  /**
   * A number is that of a route that takes whatever its host is asked for: no more cold memory has to be looked at. With
   * 10 000 hosts 0.25 us per match in place of 1.3 (bench/micro/hosts.ts).
   */
  readonly #exact = new Map<string, PathNode | number>();
  /** By what stands behind `*.`. */
  readonly #wildcard = new Map<string, PathNode>();
  /** At [n]: is there a wildcard with n labels behind the star? */
  readonly #depths: boolean[] = [];
  /** Length of the longest key of both maps: a longer host is not even looked up. */
  #longest = 0;
  #any: PathNode | null = null;

  add(row: RouteRow, order: number, listeners: ListenerSlots): void {
    const path = row.path ?? everyPath;
    if (!path.value.startsWith('/')) return; // no path that a request can have
    const { host } = row;
    const known = host === null ? undefined : this.#exact.get(host);
    if (typeof known === 'number') return; // never reached: an earlier one takes all
    const candidate = candidateOf(row, order, listeners);
    if (host !== null && known === undefined && !host.startsWith('*.') && takesAll(path, candidate)) {
      this.#exact.set(host, order);
      this.#longest = Math.max(this.#longest, host.length);
    } else candidatesAt(this.#root(host, order), path, order).add(candidate);
  }

  #root(host: string | null, order: number): PathNode {
    if (host === null) {
      this.#any ??= new PathNode(order);
      return this.#any;
    }
    const wildcard = host.startsWith('*.');
    const key = wildcard ? host.slice(2) : host;
    const map = wildcard ? this.#wildcard : this.#exact;
    const known = map.get(key);
    if (known instanceof PathNode) return known;
    const root = new PathNode(order);
    map.set(key, root);
    this.#longest = Math.max(this.#longest, key.length);
    if (wildcard) this.#addDepth(key.split('.').length);
    return root;
  }

  #addDepth(depth: number): void {
    while (this.#depths.length <= depth) this.#depths.push(false);
    this.#depths[depth] = true;
  }

  find(facts: RequestFacts): number {
    let best = none;
    const host = facts.host;
    if (host.length <= this.#longest) {
      const root = this.#exact.get(host);
      if (typeof root === 'number') best = root;
      else if (root !== undefined) best = bestInTree(root, facts, best);
    }
    if (this.#depths.length > 0) best = this.#bestOfWildcards(facts, best);
    if (this.#any !== null) best = bestInTree(this.#any, facts, best);
    return best === none ? -1 : best;
  }

  #bestOfWildcards(facts: RequestFacts, found: number): number {
    let best = found;
    const host = facts.host;
    let dot = host.length;
    for (let depth = 1; depth < this.#depths.length; depth++) {
      dot = host.lastIndexOf('.', dot - 1);
      if (dot <= 0) break; // the star stands for at least one label
      if (host.length - dot - 1 > this.#longest) break;
      if (!this.#depths[depth]) continue;
      const root = this.#wildcard.get(host.slice(dot + 1));
      if (root !== undefined) best = bestInTree(root, facts, best);
    }
    return best;
  }
}
