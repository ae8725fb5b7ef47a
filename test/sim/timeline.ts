/** What happened, for a person: one line per event, world time first. Filled always, written out only when asked for. */
import type { Millis } from '../../src/base/ids.ts';

interface Note {
  readonly at: Millis;
  readonly who: string;
  readonly text: string;
}

export class Timeline {
  readonly #notes: Note[] = [];
  readonly #now: () => Millis;

  constructor(now: () => Millis) {
    this.#now = now;
  }

  note(who: string, text: string): void {
    this.#notes.push({ at: this.#now(), who, text });
  }

  /** The last `count` lines, or all. Equal neighbours are told once, with how often. */
  lines(count = Number.POSITIVE_INFINITY): readonly string[] {
    const lines: string[] = [];
    for (let i = 0; i < this.#notes.length; ) {
      const { at, who, text } = this.#notes[i]!;
      let same = 1;
      while (this.#notes[i + same]?.who === who && this.#notes[i + same]!.text === text) same += 1;
      lines.push(`${seconds(at)}  ${who.padEnd(6)} ${text}${same > 1 ? `  (${same} times)` : ''}`);
      i += same;
    }
    return lines.slice(-count);
  }
}

const seconds = (ms: Millis): string => `${(ms / 1000).toFixed(3).padStart(8)}s`;
