/**
 * What must never happen to the agreed state. A state of the checker's own applies what is committed, in order:
 *
 *   same state        equal index, equal hash, on every member
 *   tokens grow       a lock's fencing tokens, and those of all locks together
 *   time              the agreed time keeps pace with the world: within drift, but for what each change of leader costs;
 *                     over a restart of a majority it leaps by no more than their wall clocks are off it
 *   nothing lost      what was answered as committed is there, with the answer that was given
 */
import type { Millis } from '../../src/base/ids.ts';
import type { DiskEntry } from '../../src/cluster/member/contract.ts';
import type { Index, Term } from '../../src/cluster/raft/model.ts';
import { decodeProposal } from '../../src/cluster/replica/codec.ts';
import type { CommandResult } from '../../src/cluster/replica/command.ts';
import type { ReplicaEvent } from '../../src/cluster/replica/events.ts';
import { type Hash64, hashText } from '../../src/cluster/replica/fingerprint.ts';
import { Replica } from '../../src/cluster/replica/replica.ts';
import type { Species } from './body.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';

/** What one change of leader may cost the agreed time: from its stamp to its last apply, some elections long. */
const perLeaderMs: Millis = 8000;
const driftShare = 0.03;
const driftMs: Millis = 50;
const slackMs: Millis = 1500;

interface Mark {
  readonly world: Millis;
  readonly agreed: Millis;
}

export class StateChecker {
  readonly reference = new Replica();
  readonly #species: Species;
  readonly #hashes: (Hash64 | undefined)[] = [];
  /** Where each proposal took effect, and how. */
  readonly #effects = new Map<string, { readonly index: Index; readonly result: CommandResult }>();
  #token = 0;
  #mark: Mark | null = null;
  /** When each entry came into a log: its time was stamped just then. */
  readonly #appendedAt = new Map<string, Millis>();
  #term: Term = 0;
  #changes = 0;
  #restartedAt: Millis = 0;
  /** The newest stamp that was judged. */
  #last: Mark | null = null;
  /** By how much it may leap with the next stamp. */
  #leap: { readonly ahead: Millis; readonly behind: Millis } | null = null;
  #slept: Millis = 0;

  constructor(species: Species) {
    this.#species = species;
  }

  /** The next entry, as it is committed for the first time, by a leader of term `by`. */
  committed({ index, term, bytes }: DiskEntry, by: Term): readonly ReplicaEvent[] {
    const body = this.#species.entryOf(bytes);
    const data = body.kind === 'data' ? body.data : null;
    const { result, events } = this.reference.apply({ index, term, data });
    this.#hashes[index] = this.reference.hash();
    const at = this.#appendedAt.get(`${index}:${term}`);
    if (data !== null && at !== undefined && (this.#mark !== null || term === by)) this.#pace(at, term);
    const ticket = data === null ? undefined : ticketOf(data);
    if (ticket !== undefined && !this.#effects.has(ticket)) this.#effects.set(ticket, { index, result });
    for (const event of events) {
      if (event.kind !== 'lock-granted') continue;
      if (event.token <= this.#token)
        throw new Breach('tokens grow', `${event.name} is granted with ${event.token} again`);
      this.#token = event.token;
    }
    return events;
  }

  /** Somebody put this entry into its log, for the first time in this world. */
  appended({ index, term }: DiskEntry, world: Millis): void {
    this.#appendedAt.set(`${index}:${term}`, world);
  }

  /**
   * A majority was started since anybody led, and may know the time from its wall clocks only, which show `walls` now.
   * Returns by how much the agreed time may leap ahead.
   */
  restarted(world: Millis, walls: readonly Millis[]): Millis {
    this.#restartedAt = world;
    if (this.#last === null) return Number.POSITIVE_INFINITY;
    const away = world - this.#last.world;
    const line = this.#last.agreed + away;
    const slack = away * driftShare + driftMs;
    const ahead = Math.max(0, Math.max(...walls) - line + slack);
    // What runs back is not followed: it only loses the time that nobody counted.
    const behind = Math.min(Math.max(0, line - Math.min(...walls) + slack), away + perLeaderMs);
    this.#leap = {
      ahead: Math.max(ahead, this.#leap?.ahead ?? 0),
      behind: Math.max(behind, this.#leap?.behind ?? 0),
    };
    return ahead;
  }

  /** Some member's clock stood still for so long; it may have led. */
  suspended(ms: Millis): void {
    this.#slept += ms;
  }

  checkHost(host: Host): void {
    const { replica } = host.body!;
    const expected = this.#hashes[replica.index];
    if (expected === undefined) return;
    const hash = replica.hash();
    if (hash[0] !== expected[0] || hash[1] !== expected[1])
      throw new Breach(
        'same state',
        `${host.name} has ${hashText(hash)} at ${replica.index}, not ${hashText(expected)}`,
      );
  }

  /** A client was told that its write is in the state as of `index`, with this result. */
  acknowledged(ticket: string, index: Index, result: CommandResult): void {
    const effect = this.#effects.get(ticket);
    if (effect === undefined || effect.index > index)
      throw new Breach('nothing lost', `${ticket} was answered at ${index}, it is at ${effect?.index ?? 'no place'}`);
    if (JSON.stringify(effect.result) !== JSON.stringify(result))
      throw new Breach(
        'nothing lost',
        `${ticket} was answered ${JSON.stringify(result)}, its effect was ${JSON.stringify(effect.result)}`,
      );
  }

  #markAgain(): void {
    this.#mark = this.#last;
    this.#leap = null;
    this.#changes = this.#slept = 0;
  }

  #pace(world: Millis, term: Term): void {
    // What was stamped before all were restarted goes by another line.
    if (world < this.#restartedAt) return;
    const agreed = this.reference.now;
    if (term !== this.#term) this.#changes += 1;
    this.#term = term;
    this.#last = { world, agreed };
    if (this.#mark === null) return this.#markAgain();
    const passed = world - this.#mark.world;
    const late = passed - (agreed - this.#mark.agreed);
    const { ahead, behind } = this.#leap ?? { ahead: 0, behind: 0 };
    if (-late > passed * driftShare + slackMs + ahead)
      throw new Breach('time', `the agreed time is ${Math.round(-late)} ms ahead`);
    if (late > passed * driftShare + slackMs + behind + this.#slept + this.#changes * perLeaderMs)
      throw new Breach('time', `the agreed time is ${Math.round(late)} ms behind after ${this.#changes} leaders`);
    if (this.#leap !== null) this.#markAgain();
  }
}

function ticketOf(data: Uint8Array): string | undefined {
  const proposal = decodeProposal(data);
  if (!proposal.ok) return undefined;
  const { uid, boot, number } = proposal.value.proposer;
  return `${uid} ${boot} ${number}`;
}
