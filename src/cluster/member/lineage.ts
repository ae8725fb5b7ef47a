/**
 * The runs of this disk that peers may know of, kept on it (7.2). A run is told to nobody before it is written here: so
 * a run that a peer knows, that only this disk can have made, and that is not here, was made after this disk was copied.
 *
 * Runs that no peer asked about are not kept: however often a copy is started alone, it does not come past this.
 */
import type { Core } from './core.ts';
import { readRuns, runsBytes } from './disk-codec.ts';
import { bootOf, runOf } from './rules.ts';

/** Older ones are forgotten, and pass as known: a peer must have been away for as many runs. */
const keptMax = 4096;

export class Lineage {
  readonly #core: Core;
  readonly #proofOf: (both: number) => string;
  readonly #runs: readonly number[];
  readonly own: number;
  #told: 'no' | 'writing' | 'yes' = 'no';
  #waiting: (() => void)[] = [];

  constructor(core: Core, restored: { readonly runs: Uint8Array | null; readonly proofOf: (both: number) => string }) {
    this.#core = core;
    this.#proofOf = restored.proofOf;
    this.own = runOf(core.boot, core.run);
    const runs = restored.runs === null ? [] : readRuns(restored.runs);
    if (runs === null)
      core.stop('disk', "the runs on this member's disk can't be read: a later release wrote them, or it is damaged");
    this.#runs = [...(runs ?? []), this.own].slice(-keptMax);
  }

  get proof(): string {
    return this.#proofOf(this.own);
  }

  /** Of this disk, as far as it knows. */
  has(both: number): boolean {
    if (this.#runs.includes(both)) return true;
    return this.#runs.length === keptMax && bootOf(both) < bootOf(this.#runs[0]!);
  }

  /** Whether only this disk, or a copy of it, can have made this run. */
  made(both: number, proof: string): boolean {
    return proof === this.#proofOf(both);
  }

  /** Goes on once this run is on the disk. */
  whenKept(go: () => void): void {
    if (this.#told === 'yes') return go();
    this.#waiting.push(go);
    if (this.#told === 'writing') return;
    this.#told = 'writing';
    this.#core.disk.fact({ runs: runsBytes(this.#runs) }, () => {
      this.#told = 'yes';
      for (const then of this.#waiting.splice(0)) then();
    });
  }
}
