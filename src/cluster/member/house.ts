/**
 * What a member has once there is a cluster: agreement and state, the desk at which its leader works, the calls of its
 * own. Made when the cluster is on disk, so that nothing of it leaves before.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Persist, RaftEvent } from '../raft/contract.ts';
import { type Config, isMember, members, type Restored } from '../raft/model.ts';
import type { ReplicaEvent } from '../replica/events.ts';
import { Agreement } from './agreement.ts';
import { Askings } from './asking.ts';
import { Calls } from './calls.ts';
import type { MemberInput, MemberOutput } from './contract.ts';
import type { Core } from './core.ts';
import { Desk } from './desk.ts';
import { Grants } from './grants.ts';
import { Hashes } from './hashes.ts';
import { Leave } from './leave.ts';
import { Reads } from './reads.ts';
import { Seats } from './seats.ts';
import { channelsMax, type Head, tellBytesMax, type Word } from './words.ts';
import { Writes } from './writes.ts';

export interface HouseNews {
  readonly raftEvent: (event: RaftEvent) => void;
  readonly stateEvent: (event: ReplicaEvent) => void;
  readonly missing: () => readonly string[];
  readonly tellGossip: () => void;
  readonly keepLeaving: (then: () => void) => void;
}

export interface Speaker {
  readonly id: MemberId;
  readonly boot: number;
  readonly run: number;
}

/** A leader that was not heard for so long may be none: longer than a few heartbeats, shorter than an election. */
const heardLatelyMs: Millis = 1000;

/** Words for rooms above in one take. */
const toldMax = 1024;

export class House {
  readonly agreement: Agreement;
  readonly grants: Grants;
  readonly calls: Calls;
  readonly leave: Leave;
  readonly #core: Core;
  readonly #news: HouseNews;
  readonly #seats: Seats;
  readonly #desk: Desk;
  readonly #askings: Askings;
  readonly #writes: Writes;
  readonly #reads: Reads;
  readonly #hashes: Hashes;
  #config: Config;

  constructor(core: Core, restored: Restored, news: HouseNews) {
    this.#core = core;
    this.#news = news;
    const { missing } = news;
    const agreement = new Agreement(core, restored, {
      raftEvent: (event) => this.#raftEvent(event),
      stateEvent: (event) => this.#stateEvent(event),
      applied: () => this.#writes.applied(),
    });
    const nextNumber = (): number => this.#writes.nextNumber();
    this.agreement = agreement;
    core.agreedTime = () => agreement.agreedTime();
    this.#config = agreement.status.config;
    this.grants = new Grants(core, agreement);
    this.#seats = new Seats(core, agreement, nextNumber);
    this.#desk = new Desk(core, { agreement, seats: this.#seats, grants: this.grants, nextNumber });
    this.#askings = new Askings(core, agreement, this.#desk);
    this.#writes = new Writes(core, { agreement, askings: this.#askings, missing });
    this.#reads = new Reads(core, agreement, missing);
    this.#hashes = new Hashes(core, agreement);
    const { tellGossip, keepLeaving: keep } = news;
    this.leave = new Leave(core, { agreement, askings: this.#askings, tellGossip, keep });
    const parts = { agreement, askings: this.#askings, writes: this.#writes, reads: this.#reads };
    this.calls = new Calls(core, { ...parts, leave: this.leave, missing });
  }

  heard(from: Speaker, head: Head, word: Word): void {
    // Before the word itself: it may be the vote that makes this member a leader. Who does not belong has no say in it.
    const belongs = isMember(this.agreement.status.config, from.id);
    if (head.agreed !== undefined && belongs) this.agreement.heardTime(head.agreed, false);
    this.#desk.announced(from.id, head.commands);
    this.#seats.announced(from.id, head.leaseless);
    switch (word.kind) {
      case 'raft':
        return this.#raft(word, head);
      case 'join':
        return this.#seats.join(from, word);
      case 'ask':
        return this.#desk.ask(from, word.ask, (told) =>
          this.#core.say(from.id, { kind: 'told', id: word.id, run: from.run, told }),
        );
      case 'told':
        if (word.run === this.#core.run) this.#askings.told(from.id, word.id, word.told);
        return;
      case 'hash':
        return this.#hashes.heard(from.id, word.index, word.hash);
      case 'tell':
        if (!belongs) return this.#core.refuse('told by who does not belong');
        return this.#told({ from: from.id, channel: word.channel, bytes: word.bytes });
    }
  }

  #told(told: MemberOutput['told'][number]): void {
    if (this.#core.out.told.length < toldMax) this.#core.out.told.push(told);
    else this.#core.refuse('told too much at once');
  }

  /** Said once, to a member of the configuration; lost where nobody knows the way, or if it is too long. */
  tell({ to, channel, bytes }: Extract<MemberInput, { readonly kind: 'tell' }>): void {
    const { uid } = this.#core;
    const { config } = this.agreement.status;
    const isSound = channel >= 0 && channel < channelsMax && bytes.byteLength <= tellBytesMax;
    if (!isSound) return this.#core.refuse('own word too long');
    if (to !== uid && isMember(config, to) && isMember(config, uid))
      this.#core.say(to, { kind: 'tell', channel, bytes });
  }

  #raft({ message }: Extract<Word, { readonly kind: 'raft' }>, { agreed }: Head): void {
    this.agreement.step({ kind: 'message', message });
    const { kind, from } = message;
    const isLeaders = kind === 'append' || kind === 'heartbeat' || kind === 'snapshot';
    if (!isLeaders || this.agreement.status.leader !== from) return;
    this.#reads.heardLeader();
    // Before its entries are acknowledged: whoever leads next was elected by somebody who knows this time.
    if (agreed !== undefined) this.agreement.heardTime(agreed, true);
  }

  /** A leader without a quorum gives up by itself; a follower that hears one believes it. */
  hasQuorum(): boolean {
    const { role, ready, leader } = this.agreement.status;
    if (role === 'leader') return ready;
    const age = this.#reads.age();
    return leader !== null && age !== null && age < heardLatelyMs;
  }

  tick(): void {
    this.agreement.step({ kind: 'tick' });
    this.#desk.tick();
    this.#seats.tick();
    this.#askings.tick();
    this.calls.tick();
    this.leave.tick();
  }

  drain(): readonly Persist[] {
    const persists = this.agreement.drain();
    // A leader that was found in this very take is asked in it.
    if (this.#core.stopped !== null) return persists;
    this.#askings.tick();
    return [...persists, ...this.agreement.drain()];
  }

  wakeAt(): Millis {
    return Math.min(
      this.agreement.wakeAt(),
      this.#desk.wakeAt(),
      this.#seats.wakeAt(),
      this.#askings.wakeAt(),
      this.calls.wakeAt(),
      this.leave.wakeAt(),
    );
  }

  #raftEvent(event: RaftEvent): void {
    if (event.kind === 'config') this.#configured(event.config);
    this.#news.raftEvent(event);
  }

  #configured(config: Config): void {
    const before = this.#config;
    this.#config = config;
    const { uid } = this.#core;
    if (members(before).some((id) => !isMember(config, id))) this.grants.someoneLeft();
    if (isMember(before, uid) && !isMember(config, uid)) this.#core.effect({ kind: 'void-leases', why: 'removed' });
    else if (before.voters.length <= 2 && config.voters.length > 2)
      this.#core.effect({ kind: 'void-leases', why: 'voters-changed' });
  }

  #stateEvent(event: ReplicaEvent): void {
    if (event.kind === 'hash') this.#hashes.own(event.index, event.hash);
    this.#news.stateEvent(event);
  }
}
