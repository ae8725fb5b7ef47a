/**
 * A tree of path segments: `/v1/users` is the root's child `v1`, and its child `users`; `/v1/` is `v1` and an empty
 * segment. A prefix matches on segment borders because it is a node that the request's path goes through.
 *
 * A lookup follows the path while there are children, so a path of thousands of segments costs no more than the
 * deepest one that was added. Each node knows the lowest order in and below it: what can't win is not entered.
 */

import type { PathMatch } from '../config/model.ts';
import { Candidates } from './candidates.ts';
import type { RequestFacts } from './snapshot.ts';

export class PathNode {
  /** The lowest order in this node and below: the one that made it, since routes are added in ascending order. */
  readonly first: number;
  /** For paths that go through this node or end here. */
  prefix: Candidates | null = null;
  /** For the path that ends here. */
  exact: Candidates | null = null;
  /** Most nodes have one child: a Map is made for the second. */
  #onlyName = '';
  #onlyChild: PathNode | null = null;
  #children: Map<string, PathNode> | null = null;
  /** Length of the longest name in the Map: a longer segment is not even looked up. */
  #longestName = 0;

  constructor(first: number) {
    this.first = first;
  }

  /** The child whose name stands in the path from `start` to `end`; null if there is none. */
  child(path: string, start: number, end: number): PathNode | null {
    if (this.#children === null) {
      const isOnly = end - start === this.#onlyName.length && path.startsWith(this.#onlyName, start);
      return isOnly ? this.#onlyChild : null;
    }
    if (end - start > this.#longestName) return null;
    return this.#children.get(path.slice(start, end)) ?? null;
  }

  addChild(name: string, child: PathNode): void {
    if (this.#children === null && this.#onlyChild === null) {
      this.#onlyName = name;
      this.#onlyChild = child;
      return;
    }
    if (this.#children === null) {
      this.#children = new Map([[this.#onlyName, this.#onlyChild!]]);
      this.#longestName = this.#onlyName.length;
    }
    this.#children.set(name, child);
    this.#longestName = Math.max(this.#longestName, name.length);
  }
}

/** Where the routes of a path stand in the tree; made if it is not there. The path begins with a slash. */
export function candidatesAt(root: PathNode, path: PathMatch, order: number): Candidates {
  let node = root;
  const value = path.kind === 'prefix' ? prefixBase(path.value) : path.value;
  for (const name of value.split('/').slice(1)) {
    let child = node.child(name, 0, name.length);
    if (child === null) {
      child = new PathNode(order);
      node.addChild(name, child);
    }
    node = child;
  }
  const candidates = node[path.kind] ?? new Candidates();
  node[path.kind] = candidates;
  return candidates;
}

/** A prefix without its last slash: what must be followed by a slash or by the path's end. `/` becomes empty. */
export function prefixBase(prefix: string): string {
  return prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
}

/** Follows the request's path down the tree. The lowest order that matches, if it is below `found`; else `found`. */
export function bestInTree(root: PathNode, facts: RequestFacts, found: number): number {
  if (root.first >= found) return found;
  let best = root.prefix === null ? found : root.prefix.best(facts, found);
  const path = facts.path;
  if (path.charCodeAt(0) !== 0x2f) return best; // `*` of OPTIONS has no segments
  let node = root;
  let start = 1;
  for (;;) {
    const slash = path.indexOf('/', start);
    const end = slash === -1 ? path.length : slash;
    const child = node.child(path, start, end);
    if (child === null || child.first >= best) return best;
    node = child;
    if (node.prefix !== null) best = node.prefix.best(facts, best);
    if (slash === -1) return node.exact === null ? best : node.exact.best(facts, best);
    start = end + 1;
  }
}
