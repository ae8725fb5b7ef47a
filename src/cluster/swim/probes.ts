/**
 * The failure detector (SWIM 3.1, Lifeguard): one member per probe interval.
 *
 *   idle --interval--> direct --time-out--> indirect --end of interval--> failed: accuse
 *                        |  ack               |  ack of target, of a helper, of the stream
 *                        +--> idle            +--> idle
 *
 * Indirect: three others are asked to ping the target, and a stream to it is tried, in case that only datagrams are
 * lost. A suspect is told so in the probe itself, so that it can refute at once (buddy system). Interval and time-out
 * stretch with the local health score; who was wrong lately asks twice (doubt.ts). A stall of this member voids the running probe: it proves nothing.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Beliefs } from './beliefs.ts';
import type { Core } from './core.ts';
import { type Member, subjectOf } from './member-list.ts';
import type { Update } from './messages.ts';
import type { Reach } from './model.ts';
import type { Streams } from './streams.ts';

type State =
  | { readonly at: 'idle' }
  | { readonly at: 'direct'; readonly target: Member; readonly seq: number; readonly timeoutAt: Millis }
  | {
      readonly at: 'indirect';
      readonly target: Member;
      readonly seq: number;
      /** Helpers that have said nothing yet. */
      readonly silent: Set<MemberId>;
      readonly helpers: ReadonlySet<MemberId>;
      readonly stream: number;
    };

const idle: State = { at: 'idle' };

export interface ProbeParts {
  readonly beliefs: Beliefs;
  readonly streams: Streams;
  readonly nextSeq: () => number;
  /** A probe ended, and how the target was reached. */
  readonly ended: (target: Member, reach: Reach) => void;
}

export class Probes {
  readonly #core: Core;
  readonly #parts: ProbeParts;
  #state: State = idle;
  /** Is asked a second time. */
  #again: Member | null = null;
  #startedAt: Millis = Number.NEGATIVE_INFINITY;
  /** End of the running interval. */
  #nextAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(core: Core, parts: ProbeParts) {
    this.#core = core;
    this.#parts = parts;
  }

  wakeAt(): Millis {
    if (this.#core.self.phase !== 'active' || (this.#state.at === 'idle' && this.#core.list.living === 0))
      return Number.POSITIVE_INFINITY;
    return this.#state.at === 'direct' ? Math.min(this.#state.timeoutAt, this.#nextAt) : this.#nextAt;
  }

  /** Begins somewhere in the first interval, so that members started together do not probe in step. */
  begin(now: Millis): void {
    this.#nextAt = now + this.#core.random.next() * this.#core.settings.probeIntervalMs;
  }

  tick(now: Millis): void {
    if (this.#core.self.phase !== 'active') return;
    if (this.#state.at === 'direct' && this.#state.timeoutAt <= now) this.#askOthers(this.#state, now);
    if (this.#nextAt > now) return;
    if (this.#state.at !== 'idle') this.#fail(now);
    this.#start(now);
  }

  /** This member stood still: what did not come meanwhile may have been lost with it. */
  void(now: Millis): void {
    if (this.#state.at === 'idle') return;
    this.#state = idle;
    this.#nextAt = now;
  }

  acked(seq: number, from: MemberId): void {
    const state = this.#state;
    if (state.at === 'idle' || state.seq !== seq) return;
    if (state.target.claim.id === from) this.#succeed(state.target, 'direct');
    else if (state.at === 'indirect' && state.helpers.has(from)) this.#succeed(state.target, 'indirect');
  }

  nacked(seq: number, from: MemberId): void {
    if (this.#state.at === 'indirect' && this.#state.seq === seq) this.#state.silent.delete(from);
  }

  /** The target answered the fallback stream. */
  streamAcked(stream: number, from: MemberId): void {
    const state = this.#state;
    if (state.at !== 'indirect' || state.stream !== stream || state.target.claim.id !== from) return;
    this.#succeed(state.target, 'stream');
  }

  #start(now: Millis): void {
    const { settings, awareness, counts, order } = this.#core;
    const target = this.#again?.living === true ? this.#again : order.next();
    this.#nextAt = now + awareness.stretch(settings.probeIntervalMs);
    if (target === undefined) return;
    counts.probes++;
    this.#startedAt = now;
    const seq = this.#parts.nextSeq();
    this.#state = { at: 'direct', target, seq, timeoutAt: now + awareness.stretch(settings.probeTimeoutMs) };
    this.#ping(target, seq);
  }

  /** Apart from the round: the ack proves nothing, but a suspect that lives refutes in it. */
  call(suspect: Member): void {
    this.#ping(suspect, this.#parts.nextSeq());
  }

  #ping(target: Member, seq: number): void {
    const message = { kind: 'ping', seq, target: subjectOf(target.claim) } as const;
    this.#core.outbox.send(target.claim.address, message, { first: accusationOf(target) });
  }

  #askOthers(state: Extract<State, { at: 'direct' }>, now: Millis): void {
    const { target, seq } = state;
    const { settings, counts, list, outbox } = this.#core;
    counts.indirectProbes++;
    const helpers = list.pick(settings.relays, (member) => member.status === 'alive' && member !== target);
    for (const helper of helpers) outbox.send(helper.claim.address, { kind: 'relay', seq, target: target.claim.id });
    const ids = helpers.map((helper) => helper.claim.id);
    const request = { kind: 'ping', sender: outbox.sender(), target: target.claim.id } as const;
    const timeoutMs = Math.max(1, this.#nextAt - now);
    const stream = this.#parts.streams.open(target.claim.address, request, { purpose: probe, timeoutMs, now });
    this.#state = { at: 'indirect', target, seq, silent: new Set(ids), helpers: new Set(ids), stream };
  }

  #succeed(target: Member, reach: Reach): void {
    this.#core.awareness.add(-1);
    if (this.#again === target) this.#core.doubt.wasWrong(this.#startedAt);
    this.#again = null;
    this.#end(target, reach);
  }

  #fail(now: Millis): void {
    const state = this.#state;
    if (state.at === 'idle') return;
    const { counts, awareness, self, doubt } = this.#core;
    const isSecond = this.#again === state.target;
    counts.probeFailures++;
    awareness.add(1 + (state.at === 'indirect' ? state.silent.size : 0));
    this.#end(state.target, 'none');
    this.#again = !isSecond && doubt.asksTwice(now) ? state.target : null;
    if (this.#again !== null) return;
    this.#parts.beliefs.suspect(state.target.subject(), self.claim.id, { now, quiet: false });
  }

  #end(target: Member, reach: Reach): void {
    this.#state = idle;
    target.reach = reach;
    target.missed = reach === 'indirect' || reach === 'none' ? target.missed + 1 : 0;
    this.#parts.ended(target, reach);
  }
}

const probe = { kind: 'probe' } as const;

/** What is held against a member, to be told to itself. */
export function accusationOf(member: Member): readonly Update[] {
  if (member.status === 'alive') return [];
  if (member.status === 'left') return [{ kind: 'left', subject: member.subject() }];
  return [{ kind: member.status, subject: member.subject(), by: member.accuser ?? member.claim.id }];
}
