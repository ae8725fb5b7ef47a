/** What the checks share: how to find a value's place, and how to put a problem there. */
import { didYouMean } from '../base/words.ts';
import type { Problems } from './problems.ts';
import { at, keyMark, markAt, type Path, type Tree } from './tree.ts';

/** Where the checks find places and put problems. */
export interface Ledger {
  readonly tree: Tree;
  readonly problems: Problems;
}

export const placeOf = ({ tree }: Ledger, path: Path) => ({ mark: markAt(tree, path), path });
export const keyPlaceOf = ({ tree }: Ledger, path: Path) => ({ mark: keyMark(tree, path), path });

/** A list may have been written as its only item. */
export function itemPath(tree: Tree, list: string, index: number): Path {
  return at(tree, [list])?.kind === 'list' ? [list, index] : [list];
}

/** For a name that is not there. */
export function guess(name: string, known: readonly string[]): string {
  const near = didYouMean(name, known);
  if (near !== null) return `did you mean ${near}?`;
  return known.length === 0
    ? 'there is none yet'
    : `there is ${known.slice(0, 10).join(', ')}${known.length > 10 ? ', ...' : ''}`;
}
