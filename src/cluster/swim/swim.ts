/**
 * Membership as one pure machine, after SWIM (Das, Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018).
 *
 *   step(now, input)   every input, and a tick whenever wakeAt() has come
 *   take()             what to send, to open, to answer and to tell since the last take
 *
 * `now` never runs back. The machine sees by itself when it is stepped much later than it asked for: then the process
 * stood still, and it mistrusts itself before it accuses others. It knows nothing of seals, sockets and keys: what comes
 * in was opened and decoded. It does not decide who votes.
 *
 *   beliefs.ts  what to hold true          probes.ts, relays.ts  failure detector       gossip-queue.ts  what to pass on
 *   syncs.ts    whole lists compared       seeds.ts  where the cluster is               self.ts  this member
 */
import { assertNever } from '../../base/assert.ts';
import type { Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Beliefs } from './beliefs.ts';
import { Conflicts } from './conflicts.ts';
import { type Core, makeCore } from './core.ts';
import { Gossip } from './gossip.ts';
import { Inbox } from './inbox.ts';
import type { SwimInput, SwimOutput } from './messages.ts';
import type { MemberView, SwimCounts } from './model.ts';
import { Probes } from './probes.ts';
import { Relays } from './relays.ts';
import { Seeds } from './seeds.ts';
import type { SwimOptions } from './settings.ts';
import { OwnSight } from './sight.ts';
import { Streams } from './streams.ts';
import { Syncs } from './syncs.ts';
import { viewOf, viewOfSelf } from './view.ts';

export class Swim {
  readonly #core: Core;
  readonly #beliefs: Beliefs;
  readonly #probes: Probes;
  readonly #relays: Relays;
  readonly #gossip: Gossip;
  readonly #syncs: Syncs;
  readonly #seeds: Seeds;
  readonly #streams: Streams;
  readonly #sight: OwnSight;
  readonly #inbox: Inbox;
  #wokeFor: Millis = Number.POSITIVE_INFINITY;
  /** Up to here a stall was counted. */
  #stalledUntil: Millis = Number.NEGATIVE_INFINITY;
  #phaseSince: Millis = 0;

  /** `options` come from this member's own config: what is out of bounds there is a broken invariant. */
  constructor(options: SwimOptions, random: Random) {
    const core = makeCore(options, random);
    const beliefs = new Beliefs(core, new Conflicts(core));
    const streams = new Streams(core);
    const sight = new OwnSight(core);
    const relays = new Relays(core);
    const syncs = new Syncs(core, { beliefs, streams, ownSight: () => sight.told() });
    const seeds = new Seeds(core, { streams, syncs });
    let seq = random.below(2 ** 31);
    const nextSeq = (): number => {
      seq = (seq + 1) % 2 ** 32;
      return seq;
    };
    const probes = new Probes(core, { beliefs, streams, nextSeq, ended: () => sight.refresh() });
    const met = (now: Millis): void => this.#met(now);
    this.#inbox = new Inbox(core, { beliefs, streams, probes, relays, syncs, seeds, nextSeq, met });
    this.#gossip = new Gossip(core);
    this.#core = core;
    this.#beliefs = beliefs;
    this.#streams = streams;
    this.#sight = sight;
    this.#relays = relays;
    this.#syncs = syncs;
    this.#seeds = seeds;
    this.#probes = probes;
  }

  /** Local health score, 0 (well) to 7. */
  get healthScore(): number {
    return this.#core.awareness.score;
  }

  get counts(): Readonly<SwimCounts> {
    return this.#core.counts;
  }

  step(now: Millis, input: SwimInput): void {
    // Before anything of this step is believed: what came late may only look as if others were silent.
    this.#noticeStall(now, now - this.#wokeFor);
    this.#take(now, input);
    this.#tick(now);
    this.#wokeFor = this.#nextWake();
  }

  take(): SwimOutput {
    return this.#core.outbox.take();
  }

  /** When the next tick is due; Infinity if only an input can change anything. */
  wakeAt(): Millis {
    return this.#wokeFor;
  }

  /** This member first, then the others by name. */
  members(): readonly MemberView[] {
    const self = viewOfSelf(this.#core, { blindTo: this.#sight.blindTo, since: this.#phaseSince });
    const others = [...this.#core.list.all()].sort((a, b) => (a.claim.name < b.claim.name ? -1 : 1));
    return [self, ...others.map(viewOf)];
  }

  #take(now: Millis, input: SwimInput): void {
    switch (input.kind) {
      case 'tick':
        return;
      case 'datagram':
        return this.#inbox.datagram(input.from, input.datagram, now);
      case 'request':
        return this.#inbox.request(input.stream, input.request, now);
      case 'answer':
        return this.#inbox.answer(input.stream, input.answer, now);
      case 'failed':
        return this.#inbox.failed(input.stream, now);
      case 'join':
        this.#seeds.set(input.seeds, now);
        if (this.#seeds.size === 0) this.#met(now);
        return;
      case 'leave':
        return this.#leave(now);
      case 'stall':
        return this.#noticeStall(now, input.ms);
      case 'metadata':
        this.#core.self.describe(input.metadata);
        return this.#gossip.tellSelf();
      default:
        assertNever(input, 'input');
    }
  }

  #tick(now: Millis): void {
    for (const stream of this.#streams.overdue(now)) this.#inbox.failed(stream, now);
    if (!this.#core.self.gone) this.#beliefs.expire(now, (suspect) => this.#probes.call(suspect));
    this.#probes.tick(now);
    this.#relays.tick(now);
    this.#seeds.tick(now);
    this.#syncs.tick(now);
    this.#gossip.tick(now);
  }

  #nextWake(): Millis {
    return Math.min(
      this.#core.self.gone ? Number.POSITIVE_INFINITY : this.#core.suspicions.wakeAt(),
      this.#probes.wakeAt(),
      this.#relays.wakeAt(),
      this.#seeds.wakeAt(),
      this.#syncs.wakeAt(),
      this.#gossip.wakeAt(),
      this.#streams.wakeAt(),
    );
  }

  #met(now: Millis): void {
    const { self, outbox } = this.#core;
    if (self.phase !== 'joining') return;
    self.become('active');
    this.#phaseSince = now;
    outbox.event({ kind: 'met' });
    this.#gossip.tellSelf();
    this.#probes.begin(now);
    this.#syncs.begin(now);
  }

  #leave(now: Millis): void {
    if (this.#core.self.gone) return;
    this.#core.self.become('leaving');
    this.#phaseSince = now;
    this.#gossip.tellLeave(now);
  }

  /** A stall may be seen twice, by a late step and by the driver: only what is new of it counts. */
  #noticeStall(now: Millis, ms: Millis): void {
    if (ms <= this.#core.settings.stallMs) return;
    const from = Math.max(now - ms, this.#stalledUntil);
    const isNew = now - ms >= this.#stalledUntil;
    this.#stalledUntil = now;
    if (isNew) {
      this.#core.counts.stalls++;
      this.#core.awareness.add(1);
    }
    this.#core.suspicions.shift(now - from);
    this.#probes.void(now);
  }
}
