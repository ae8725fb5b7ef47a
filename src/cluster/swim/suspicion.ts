/**
 * Suspicions with time-outs that shrink as independent accusers confirm them (Lifeguard, IV.B).
 *
 *   min = factor x max(1, log10 n) x probe interval         max = 6 x min
 *   timeout(c) = max - (max - min) x ln(c + 1) / ln(k + 1)  after c confirmations, k expected
 *
 * In clusters with too few others to confirm, k is 0 and the time-out is min. A stall of this member's own loop shifts
 * all deadlines: while it did not read, nobody could refute.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import { TimeHeap } from '../../base/time-heap.ts';
import type { Member } from './member-list.ts';
import type { SwimSettings } from './settings.ts';

interface Suspicion {
  readonly member: Member;
  /** The first accuser and those who confirmed. */
  readonly accusers: Set<MemberId>;
  readonly expected: number;
  readonly min: Millis;
  readonly max: Millis;
  startedAt: Millis;
  deadline: Millis;
  /** Last calls that are still to be made. */
  calls: number;
}

/**
 * Before a member is declared dead it is called this often, this long before the end. A refutation reaches nearly all
 * by gossip; those few whom it missed would otherwise bury a living member.
 */
const lastCalls = 2;
const lastCallMs = 500;

/** Span of a suspicion after so many confirmations of so many expected. */
export function suspicionTimeout(
  bounds: { readonly min: Millis; readonly max: Millis },
  confirmations: number,
  expected: number,
): Millis {
  if (expected < 1) return bounds.min;
  const share = Math.log(Math.min(confirmations, expected) + 1) / Math.log(expected + 1);
  return bounds.max - (bounds.max - bounds.min) * share;
}

export class Suspicions {
  readonly #settings: SwimSettings;
  readonly #byId = new Map<MemberId, Suspicion>();
  readonly #due = new TimeHeap<Suspicion>();

  constructor(settings: SwimSettings) {
    this.#settings = settings;
  }

  wakeAt(): Millis {
    return this.#due.peekAt();
  }

  /** `living` counts this member too. */
  start(member: Member, context: { readonly by: MemberId; readonly living: number; readonly now: Millis }): void {
    const { suspicionFactor, suspicionMaxFactor, probeIntervalMs, confirmations } = this.#settings;
    const min = suspicionFactor * Math.max(1, Math.log10(context.living)) * probeIntervalMs;
    const suspicion: Suspicion = {
      member,
      accusers: new Set([context.by]),
      expected: context.living - 2 < confirmations ? 0 : confirmations,
      min,
      max: min * suspicionMaxFactor,
      startedAt: context.now,
      deadline: 0,
      calls: lastCalls,
    };
    this.#byId.set(member.claim.id, suspicion);
    this.#schedule(suspicion);
  }

  /** True if the accuser is a new one and still counts: then the accusation is worth passing on. */
  confirm(id: MemberId, by: MemberId): boolean {
    const suspicion = this.#byId.get(id);
    if (suspicion === undefined || suspicion.accusers.has(by)) return false;
    if (suspicion.accusers.size > suspicion.expected) return false;
    suspicion.accusers.add(by);
    this.#schedule(suspicion);
    return true;
  }

  isAccusedBy(id: MemberId, by: MemberId): boolean {
    return this.#byId.get(id)?.accusers.has(by) ?? false;
  }

  clear(id: MemberId): void {
    this.#byId.delete(id);
  }

  deadlineOf(id: MemberId): Millis | undefined {
    return this.#byId.get(id)?.deadline;
  }

  /** This member stood still for so long. */
  shift(ms: Millis): void {
    for (const suspicion of this.#byId.values()) {
      suspicion.startedAt += ms;
      this.#schedule(suspicion);
    }
  }

  /** The next member whose suspicion has run out (it is no longer suspected then) or that is to be called. */
  nextDue(now: Millis): { readonly member: Member; readonly over: boolean } | undefined {
    while (this.#due.peekAt() <= now) {
      const suspicion = this.#due.pop()!;
      const { member, deadline, calls } = suspicion;
      if (this.#byId.get(member.claim.id) !== suspicion) continue;
      if (deadline <= now) {
        this.#byId.delete(member.claim.id);
        return { member, over: true };
      }
      if (calls === 0 || deadline - calls * lastCallMs > now) continue;
      suspicion.calls--;
      this.#push(suspicion);
      return { member, over: false };
    }
    return undefined;
  }

  #schedule(suspicion: Suspicion): void {
    const span = suspicionTimeout(suspicion, suspicion.accusers.size - 1, suspicion.expected);
    suspicion.deadline = suspicion.startedAt + span;
    this.#push(suspicion);
  }

  /** A moved deadline leaves its old entry behind: it is dropped when its time comes. */
  #push(suspicion: Suspicion): void {
    this.#due.push(suspicion.deadline - suspicion.calls * lastCallMs, suspicion);
  }
}
