/** What happens in the cluster, as lines of this member's log. */
import type { Millis } from '../base/ids.ts';
import type { MemberEvent } from '../cluster/member/contract.ts';
import type { Log } from './log.ts';

type SwimEvent = Extract<MemberEvent, { readonly kind: 'swim' }>['event'];
type Conflict = Extract<SwimEvent, { readonly kind: 'conflict' }>;

/** A conflict lasts until somebody ends it, and is told again and again: one line per pair and this. */
const conflictEvery: Millis = 60_000;
const conflictsMax = 256;

const said: Readonly<Record<string, string>> = {
  joined: 'is there',
  suspected: 'is suspected: it does not answer',
  refuted: 'showed that it lives',
  dead: 'is held dead',
  left: 'left',
  restarted: 'was started again',
};

export class ClusterLog {
  readonly #log: Log;
  readonly #now: () => Millis;
  readonly #conflicts = new Map<string, Millis>();

  constructor(log: Log, now: () => Millis = () => performance.now()) {
    this.#log = log;
    this.#now = now;
  }

  tell(event: MemberEvent): void {
    if (event.kind === 'note') return this.#log.info(`cluster: ${event.text}`, { event: 'cluster' });
    if (event.kind === 'swim') return this.#membership(event.event);
    const { kind } = event.event;
    this.#log.debug(`cluster: agreement: ${kind}`, { event: `cluster-${kind}`, ...event.event });
  }

  #membership(event: SwimEvent): void {
    const { kind } = event;
    if (event.kind === 'conflict') return this.#conflict(event);
    const words = said[kind];
    if (words === undefined || !('claim' in event))
      return this.#log.debug(`cluster: membership: ${kind}`, { event: `cluster-${kind}` });
    const { name } = event.claim;
    const level = kind === 'dead' ? 'warn' : 'info';
    this.#log[level](`cluster: member ${name} ${words}`, { event: `cluster-${kind}`, member: name });
  }

  #conflict({ over, held, claimed }: Conflict): void {
    const now = this.#now();
    const pair = `${over} ${held.id} ${claimed.id} ${claimed.address}`;
    if (now - (this.#conflicts.get(pair) ?? Number.NEGATIVE_INFINITY) < conflictEvery) return;
    this.#conflicts.delete(pair);
    this.#conflicts.set(pair, now);
    const [oldest] = this.#conflicts.keys();
    if (this.#conflicts.size > conflictsMax && oldest !== undefined) this.#conflicts.delete(oldest);
    const both = `the one at ${held.address} lives, another is at ${claimed.address}`;
    const what =
      over === 'name'
        ? `two members are called ${held.name}: ${both} and is refused; give it a name of its own, or stop it`
        : `two processes run as member ${held.name} (${held.id}): ${both}; stop the one that runs on a copied data folder`;
    this.#log.warn(`cluster: ${what}`, { event: 'cluster-conflict', member: held.name });
  }
}
