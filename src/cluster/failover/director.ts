/** What the leader does for all pools: hears the others, and looks at each pool as its phase wants. */
import type { MemberId, Millis } from '../../base/ids.ts';
import { command, endSwitch, tendWishes } from './commands.ts';
import type { CommandAnswer, FailoverCommand } from './contract.ts';
import type { Core } from './core.ts';
import { Leavers } from './fence.ts';
import { tendFirst } from './first.ts';
import { type LeadContext, PoolLead } from './lead.ts';
import { tendFailed, tendPending } from './opening.ts';
import type { Pool } from './pool.ts';
import { stateOf } from './state.ts';
import { tendOpen, watchNodes } from './watching.ts';
import type { Word } from './words.ts';

/** Words of what to show, to all. */
const stateWordMs: Millis = 1000;

export class Director {
  readonly #core: Core;
  readonly #context: LeadContext;
  readonly #clocks = new Map<MemberId, { readonly clock: Millis; readonly at: Millis }>();
  readonly #leavers: Leavers;
  #leads = new Map<Pool, PoolLead>();
  #term: number | null = null;

  constructor(core: Core) {
    this.#core = core;
    this.#leavers = new Leavers(core);
    this.#context = { core, leavers: this.#leavers, clocks: this.#clocks };
  }

  /** What is known of the cluster has changed: a new term is a new leadership, though it be the same leader. */
  look(): void {
    this.#leavers.look();
    const { view } = this.#core;
    const term = view.leads ? view.term : null;
    if (term === this.#term) return;
    for (const lead of this.#leads.values()) lead.abandon();
    this.#leads = new Map();
    this.#clocks.clear();
    this.#term = term;
  }

  get active(): boolean {
    return this.#term !== null;
  }

  leadOf(pool: Pool): PoolLead | null {
    return this.#leads.get(pool) ?? null;
  }

  forget(pool: Pool): void {
    this.#leads.get(pool)?.abandon();
    this.#leads.delete(pool);
  }

  heard(from: MemberId, clock: Millis): void {
    if (this.active) this.#clocks.set(from, { clock, at: this.#core.now });
  }

  held(from: MemberId, pool: Pool, word: Extract<Word, { kind: 'held' }>): void {
    if (this.active) this.#lead(pool)?.fence.hear(from, word);
  }

  ran(word: Extract<Word, { kind: 'ran' }>): Pool | null {
    if (word.term !== this.#term) return null;
    for (const [pool, lead] of this.#leads) if (lead.ran(word.id, word)) return pool;
    return null;
  }

  proposed(id: number, ok: boolean): Pool | null {
    for (const [pool, lead] of this.#leads) if (lead.proposed(id, ok)) return pool;
    return null;
  }

  #lead(pool: Pool): PoolLead | null {
    if (pool.policy === null) return null;
    const lead = this.#leads.get(pool) ?? new PoolLead(pool, this.#context);
    this.#leads.set(pool, lead);
    return lead;
  }

  command(pool: Pool, id: number, wish: FailoverCommand): CommandAnswer | null {
    const lead = this.#lead(pool);
    return lead === null ? { ok: false, error: { kind: 'unknown-pool', known: [] } } : command(lead, id, wish);
  }

  tend(pool: Pool): void {
    if (!this.active) return;
    const lead = this.#lead(pool);
    if (lead === null) return;
    lead.settleProposal();
    watchNodes(lead);
    endSwitch(lead);
    this.#step(lead);
    tendWishes(lead);
    this.#tellState(lead);
  }

  #step(lead: PoolLead): void {
    switch (lead.pool.record?.phase) {
      case undefined:
        return tendFirst(lead);
      case 'open':
        return tendOpen(lead);
      case 'pending':
        return tendPending(lead);
      case 'failed':
        return tendFailed(lead);
      case 'undecided':
        return;
    }
  }

  #tellState(lead: PoolLead): void {
    const { pool } = lead;
    const { now } = this.#core;
    const { state, reason } = stateOf(this.#core, pool, lead);
    const changed = pool.told?.state !== state || pool.told.reason !== reason;
    if (changed || now >= lead.toldAt + stateWordMs) {
      lead.toldAt = now;
      const differing = this.#core.members
        .filter((member) => (pool.hashes.get(member) ?? pool.policy?.hash) !== pool.policy?.hash)
        .map((member) => this.#core.nameOf(member));
      if (changed && pool.told?.state !== state)
        this.#core.log(state === 'FAILED' ? 'error' : 'info', 'state', pool.name, `${state}${reason && `: ${reason}`}`);
      pool.told = { state, reason, differing, at: now };
      this.#core.tellAll({ kind: 'state', pool: pool.name, state, reason: reason.slice(0, 200), differing });
    }
    pool.wake(lead.toldAt + stateWordMs);
  }
}
