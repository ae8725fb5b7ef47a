/**
 * Two living members under one name, or two processes under one id. Nobody decides for them: the known one stays, the
 * other is refused, and both are told, so that each side's operator sees it. Told once per pair and span, to at most so
 * many pairs, so that forged claims cannot make this member a source of traffic.
 */
import type { Millis } from '../../base/ids.ts';
import type { Core } from './core.ts';
import type { Claim } from './model.ts';

const tellEveryMs = 10_000;
const pairsMax = 64;

export class Conflicts {
  readonly #core: Core;
  readonly #toldAt = new Map<string, Millis>();

  constructor(core: Core) {
    this.#core = core;
  }

  refuse(over: 'name' | 'id', held: Claim, context: { readonly claimed: Claim; readonly now: Millis }): void {
    const { counts, outbox, self } = this.#core;
    const { claimed, now } = context;
    counts.refused.conflict++;
    if (!this.#mayTell(`${held.id} ${claimed.id} ${claimed.address}`, now)) return;
    counts.conflicts++;
    const own = held.id === self.claim.id;
    outbox.event({ kind: 'conflict', over, held, claimed, self: own });
    const tell = (to: Claim, claim: Claim): void =>
      outbox.send(to.address, { kind: 'gossip' }, { bare: true, first: [{ kind: 'alive', claim }] });
    tell(claimed, held);
    if (!own) tell(held, claimed);
  }

  #mayTell(pair: string, now: Millis): boolean {
    for (const [known, at] of this.#toldAt) {
      if (now - at < tellEveryMs) break;
      this.#toldAt.delete(known);
    }
    if (this.#toldAt.has(pair) || this.#toldAt.size >= pairsMax) return false;
    this.#toldAt.set(pair, now);
    return true;
  }
}
