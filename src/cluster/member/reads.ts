/**
 * Reads of this member's own state, and when they may be answered.
 *
 *   current   the leader confirms (by its lease or a round) what is committed; answered once that is applied here
 *   leased    at once under this member's read lease, which every strong write waits for; else as current
 *   local     at once, and says how old it may be
 */
import type { Millis } from '../../base/ids.ts';
import { err, ok } from '../../base/result.ts';
import type { Freshness } from '../coordinator.ts';
import type { Agreement } from './agreement.ts';
import type { ReadNeed } from './contract.ts';
import type { Core } from './core.ts';
import type { Done } from './writes.ts';

interface Reading {
  readonly call: number;
  readonly deadline: Millis;
  readonly done: Done;
  /** Asked, and not answered yet. */
  away: boolean;
  againAt: Millis;
}

const againMs = 50;
const current: Freshness = { kind: 'current' };

export class Reads {
  readonly #core: Core;
  readonly #agreement: Agreement;
  readonly #missing: () => readonly string[];
  readonly #open = new Map<number, Reading>();
  /** When a leader was heard last. */
  #heardAt: Millis | null = null;
  /** All that was committed until then is in the state. */
  #levelAt: Millis | null = null;

  constructor(core: Core, agreement: Agreement, missing: () => readonly string[]) {
    this.#core = core;
    this.#agreement = agreement;
    this.#missing = missing;
  }

  heardLeader(): void {
    this.#heardAt = this.#core.now;
    this.#look();
  }

  /** Time since a leader was heard; null if never in this run. */
  age(): Millis | null {
    if (this.#agreement.status.role === 'leader') return 0;
    return this.#heardAt === null ? null : this.#core.now - this.#heardAt;
  }

  /** All that was committed so long ago is in the state here; null: nothing is known of it. */
  #behind(): Millis | null {
    this.#look();
    return this.#levelAt === null ? null : Math.max(0, this.#core.now - this.#levelAt);
  }

  #look(): void {
    const { role, applied, commit } = this.#agreement.status;
    const at = this.#agreement.raft.levelAt();
    if (!Number.isFinite(at) || (role === 'leader' && applied < commit)) return;
    this.#levelAt = Math.max(this.#levelAt ?? at, at);
  }

  begin(call: number, need: ReadNeed, done: Done): void {
    const { raft } = this.#agreement;
    const { role, applied, commit } = this.#agreement.status;
    const mayRead = raft.mayRead(this.#core.now);
    // While its own disk is slow, others may have applied and acknowledged what it has not applied yet.
    const isCurrent = role === 'leader' && applied >= commit;
    if (mayRead && isCurrent && need !== 'current') return done(ok({ kind: 'fresh', freshness: current }));
    if (need === 'local' || (need === 'leased' && mayRead)) {
      return done(ok({ kind: 'fresh', freshness: { kind: 'local', ageMs: this.#behind() } }));
    }
    const deadline = this.#core.now + this.#core.settings.callMs;
    const reading: Reading = { call, deadline, done, away: false, againAt: this.#core.now };
    this.#open.set(call, reading);
    this.#pump(reading);
  }

  #pump(reading: Reading): void {
    if (reading.away || this.#core.now < reading.againAt) return;
    if (this.#agreement.status.leader === null) return;
    reading.away = true;
    this.#agreement.read(true, (index) => {
      reading.away = false;
      reading.againAt = this.#core.now + againMs;
      if (index === null || !this.#open.delete(reading.call)) return;
      reading.done(ok({ kind: 'fresh', freshness: current }));
    });
  }

  cancel(call: number): void {
    this.#open.delete(call);
  }

  tick(): void {
    for (const reading of this.#open.values()) {
      if (this.#core.now < reading.deadline) this.#pump(reading);
      else {
        this.#open.delete(reading.call);
        reading.done(err({ kind: 'no-quorum', missing: this.#missing() }));
      }
    }
  }

  wakeAt(): Millis {
    let at = Number.POSITIVE_INFINITY;
    const isLed = this.#agreement.status.leader !== null;
    for (const { deadline, away, againAt } of this.#open.values()) {
      at = Math.min(at, deadline, away || !isLed ? deadline : againAt);
    }
    return at;
  }
}
