/**
 * A schedule of faults as text, one per line; drawn from the seed or written by hand.
 *
 *   at 4.2s   isolate leader for 3s
 *   at 5s     crash m2 for 800ms
 *   at 9s     disk m1 stuck for 2s
 *
 * Whom: m1, m2, ... or `leader`, `follower`, `any`, found out when the line's time has come. A line with `for` is undone
 * after that. `#` begins a remark. What the verbs do: faults.ts.
 */
import type { Millis } from '../../src/base/ids.ts';

export interface Line {
  readonly at: Millis;
  readonly verb: string;
  readonly words: readonly string[];
  /** Null: stays until it is undone otherwise. */
  readonly forMs: Millis | null;
}

export function parseScript(text: string): readonly Line[] {
  const rows = text.split('\n').map((row) => row.replace(/#.*/, '').trim());
  return rows.flatMap((row, i) => (row === '' ? [] : [parseLine(row, i + 1)]));
}

function parseLine(row: string, number: number): Line {
  const [at, when, verb, ...rest] = row.split(/\s+/);
  const ms = spanOf(when ?? '');
  if (at !== 'at' || ms === null || verb === undefined)
    throw new Error(`line ${number}: "at TIME VERB ...", not "${row}"`);
  const last = rest.indexOf('for');
  if (last === -1) return { at: ms, verb, words: rest, forMs: null };
  const forMs = spanOf(rest[last + 1] ?? '');
  if (forMs === null) throw new Error(`line ${number}: "for" needs a time, as in "for 800ms"`);
  return { at: ms, verb, words: rest.slice(0, last), forMs };
}

/** `800ms`, `2s`, `1h`; with a sign. Null if it is none. */
export function spanOf(text: string): Millis | null {
  const match = /^([+-]?\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (match === null) return null;
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  return Number(match[1]) * units[match[2] as keyof typeof units];
}

export const spanText = (ms: Millis): string => `${ms / 1000}s`;

export function lineText({ at, verb, words, forMs }: Line): string {
  const what = [verb, ...words].join(' ');
  return `at ${spanText(at)} ${what}${forMs === null ? '' : ` for ${spanText(forMs)}`}`;
}

export const scriptText = (lines: readonly Line[]): string => lines.map((line) => `${lineText(line)}\n`).join('');

/** Leaves lines out, in ever smaller pieces, as long as what is left fails. */
export function shortest(script: readonly Line[], fails: (script: readonly Line[]) => boolean): readonly Line[] {
  let left = script;
  for (let size = Math.ceil(left.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < left.length; ) {
      const shorter = left.filter((_, i) => i < at || i >= at + size);
      if (fails(shorter)) left = shorter;
      else at += size;
    }
  }
  return left;
}
