/**
 * Which route a request takes: the first in the order of the config whose every condition holds, found without
 * looking at the others.
 *
 *   host ──> exact   Map(host)   ─┐
 *        ──> *.tail  Map(suffix) ─┼─> tree of path segments ──> candidates at each node passed, in config order
 *        ──> any                 ─┘        /  →  v1  →  users
 *
 * A candidate carries its place in the config; the lowest place that passes wins, across exact hosts, wildcards and
 * any. A walk ends where the tree ends, so a path of thousands of segments costs no more than the config's deepest
 * one, and a host of thousands of labels no more than its deepest wildcard. Nodes carry the lowest place below them:
 * what can't win any more is not entered.
 *
 * The index knows rows by number and nothing of pools: it outlives every change of a pool.
 * What it does not do: many routes on the very same host and path that differ in method or listener, or ask only for
 * the presence of a field, are tried one by one (exact field values are indexed).
 */
import type { RequestFacts, RouteRow } from './snapshot.ts';

/** Rows between two yields: about a quarter of a millisecond of work. */
const rowsPerStep = 200;

const none = Number.MAX_SAFE_INTEGER;

/** A route at its place in the tree, with the conditions that the tree has not answered. */
interface Candidate {
  readonly order: number;
  /** Slots of listeners; null = all. */
  readonly listeners: readonly number[] | null;
  readonly methods: readonly string[] | null;
  readonly headers: RouteRow['headers'] | null;
}

interface HeaderGroup {
  readonly name: string;
  readonly values: Map<string, Candidate[]>;
}

/** Routes of one host and path, ascending. Those that ask for an exact field value stand in a group of that field. */
interface Candidates {
  readonly plain: Candidate[];
  readonly groups: HeaderGroup[];
  /** One without conditions is in: what comes later can't be reached. */
  closed: boolean;
}

/** One segment of a path. */
interface PathNode {
  /** The lowest order in this node and below. */
  readonly first: number;
  children: Map<string, PathNode> | null;
  /** Length of the longest child's name: a longer segment is not even looked up. */
  longestChild: number;
  /** For paths that go through this node or end here. */
  prefix: Candidates | null;
  /** For the path that ends here. */
  exact: Candidates | null;
}

export interface RouteIndex {
  /** Number of the first row that matches; -1 if none. No allocation but the slices that are looked up. */
  find(facts: RequestFacts): number;
}

/** Slots of the listeners by name. */
export type ListenerSlots = Readonly<Record<string, number>>;

/** Compiles the rows, in steps of a few hundred. */
export function* compileIndex(rows: readonly RouteRow[], listeners: ListenerSlots): Generator<void, RouteIndex> {
  const index = new HostIndex();
  for (let order = 0; order < rows.length; order++) {
    if (order > 0 && order % rowsPerStep === 0) yield;
    index.add(rows[order]!, order, listeners);
  }
  return index;
}

class HostIndex implements RouteIndex {
  readonly #exact = new Map<string, PathNode>();
  /** By what stands behind `*.`. */
  readonly #wildcard = new Map<string, PathNode>();
  /** At [n]: is there a wildcard with n labels behind the star? */
  readonly #depths: boolean[] = [];
  #any: PathNode | null = null;

  add(row: RouteRow, order: number, listeners: ListenerSlots): void {
    const root = this.#root(row.host, order);
    const path = row.path ?? { kind: 'prefix', value: '/' };
    if (!path.value.startsWith('/')) return; // no path that a request can have
    const node = descend(root, path.kind === 'prefix' ? prefixBase(path.value) : path.value, order);
    const candidates = node[path.kind] ?? { plain: [], groups: [], closed: false };
    node[path.kind] = candidates;
    addCandidate(candidates, candidateOf(row, order, listeners));
  }

  #root(host: string | null, order: number): PathNode {
    if (host === null) {
      this.#any ??= newNode(order);
      return this.#any;
    }
    const wildcard = host.startsWith('*.');
    const key = wildcard ? host.slice(2) : host;
    const map = wildcard ? this.#wildcard : this.#exact;
    const known = map.get(key);
    if (known !== undefined) return known;
    const root = newNode(order);
    map.set(key, root);
    if (wildcard) this.#addDepth(labelCount(key));
    return root;
  }

  #addDepth(depth: number): void {
    while (this.#depths.length <= depth) this.#depths.push(false);
    this.#depths[depth] = true;
  }

  find(facts: RequestFacts): number {
    let best = none;
    const host = facts.host;
    if (this.#exact.size > 0) {
      const root = this.#exact.get(host);
      if (root !== undefined) best = walk(root, facts, best);
    }
    if (this.#depths.length > 0) best = this.#findWildcard(host, facts, best);
    if (this.#any !== null) best = walk(this.#any, facts, best);
    return best === none ? -1 : best;
  }

  #findWildcard(host: string, facts: RequestFacts, found: number): number {
    let best = found;
    let dot = host.length;
    for (let depth = 1; depth < this.#depths.length; depth++) {
      dot = host.lastIndexOf('.', dot - 1);
      if (dot <= 0) break; // the star stands for at least one label
      if (!this.#depths[depth]) continue;
      const root = this.#wildcard.get(host.slice(dot + 1));
      if (root !== undefined) best = walk(root, facts, best);
    }
    return best;
  }
}

/** Follows the path down the tree; returns the lowest order that matches, or `found`. */
function walk(root: PathNode, facts: RequestFacts, found: number): number {
  let best = found;
  let node = root;
  const path = facts.path;
  if (node.first >= best) return best;
  if (node.prefix !== null) best = scan(node.prefix, facts, best);
  if (path.charCodeAt(0) !== 0x2f) return best; // `*` of OPTIONS has no segments
  let start = 1;
  for (;;) {
    if (node.children === null) return best;
    const slash = path.indexOf('/', start);
    const end = slash === -1 ? path.length : slash;
    if (end - start > node.longestChild) return best;
    const child = node.children.get(path.slice(start, end));
    if (child === undefined || child.first >= best) return best;
    node = child;
    if (node.prefix !== null) best = scan(node.prefix, facts, best);
    if (slash === -1) return node.exact === null ? best : scan(node.exact, facts, best);
    start = end + 1;
  }
}

function scan(candidates: Candidates, facts: RequestFacts, found: number): number {
  let best = scanList(candidates.plain, facts, found);
  const groups = candidates.groups;
  for (let i = 0; i < groups.length; i++) {
    const value = facts.header(groups[i]!.name);
    const list = value === undefined ? undefined : groups[i]!.values.get(value);
    if (list !== undefined) best = scanList(list, facts, best);
  }
  return best;
}

function scanList(list: readonly Candidate[], facts: RequestFacts, best: number): number {
  for (let i = 0; i < list.length; i++) {
    const candidate = list[i]!;
    if (candidate.order >= best) return best;
    if (passes(candidate, facts)) return candidate.order;
  }
  return best;
}

function passes(candidate: Candidate, facts: RequestFacts): boolean {
  if (candidate.methods !== null && !candidate.methods.includes(facts.method)) return false;
  if (candidate.listeners !== null && !candidate.listeners.includes(facts.listener)) return false;
  if (candidate.headers === null) return true;
  for (let i = 0; i < candidate.headers.length; i++) {
    const wanted = candidate.headers[i]!;
    const value = facts.header(wanted.name);
    if (wanted.value === null ? value === undefined : value !== wanted.value) return false;
  }
  return true;
}

function candidateOf(row: RouteRow, order: number, listeners: ListenerSlots): Candidate {
  return {
    order,
    listeners: row.listen.length === 0 ? null : slotsOf(row.listen, listeners),
    methods: row.methods.length === 0 ? null : row.methods,
    headers: row.headers.length === 0 ? null : row.headers,
  };
}

function slotsOf(names: readonly string[], listeners: ListenerSlots): number[] {
  return names.filter((name) => Object.hasOwn(listeners, name)).map((name) => listeners[name]!);
}

function addCandidate(to: Candidates, candidate: Candidate): void {
  if (to.closed) return;
  const wanted = candidate.headers?.find((header) => header.value !== null);
  if (wanted === undefined || wanted.value === null) {
    to.plain.push(candidate);
    to.closed = candidate.methods === null && candidate.listeners === null && candidate.headers === null;
    return;
  }
  let group = to.groups.find((known) => known.name === wanted.name);
  if (group === undefined) {
    group = { name: wanted.name, values: new Map() };
    to.groups.push(group);
  }
  const list = group.values.get(wanted.value);
  if (list === undefined) group.values.set(wanted.value, [candidate]);
  else list.push(candidate);
}

/** The node of a path, made if it is not there. `path` is empty or begins with a slash. */
function descend(root: PathNode, path: string, order: number): PathNode {
  let node = root;
  for (const segment of path.split('/').slice(1)) {
    node.children ??= new Map();
    let child = node.children.get(segment);
    if (child === undefined) {
      child = newNode(order);
      node.children.set(segment, child);
      node.longestChild = Math.max(node.longestChild, segment.length);
    }
    node = child;
  }
  return node;
}

const newNode = (first: number): PathNode => ({ first, children: null, longestChild: 0, prefix: null, exact: null });

function labelCount(host: string): number {
  let count = 1;
  for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) count++;
  return count;
}

/** A prefix without its last slash: what must be followed by a slash or by the path's end. `/` becomes empty. */
export function prefixBase(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}
