/**
 * All other members that this one knows of, by id and by name. Holds what is believed; what to believe is decided in
 * beliefs.ts.
 */
import { hash32 } from '../../base/hash.ts';
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import type { Digest, Subject } from './messages.ts';
import type { Claim, Reach, Status } from './model.ts';

export class Member {
  claim: Claim;
  /** The highest that was claimed or accused: an accusation may come before the claim that it is about. */
  incarnation: number;
  status: Status = 'alive';
  since: Millis;
  heardAt: Millis = Number.NEGATIVE_INFINITY;
  score = 0;
  reach: Reach = 'unknown';
  /** Probes in a row that did not reach it from here. */
  missed = 0;
  sightNumber = -1;
  blindTo: readonly MemberId[] = nobody;
  /** Who brought it into its status. */
  accuser: MemberId | null = null;
  /** Its place in the list's array; -1 if it was removed. */
  slot = -1;
  inProbeOrder = false;

  constructor(claim: Claim, now: Millis) {
    this.claim = claim;
    this.incarnation = claim.incarnation;
    this.since = now;
  }

  get living(): boolean {
    return this.slot !== -1 && (this.status === 'alive' || this.status === 'suspect');
  }

  subject(): Subject {
    return { id: this.claim.id, boot: this.claim.boot, incarnation: this.incarnation };
  }
}

const nobody: readonly MemberId[] = [];

export class MemberList {
  readonly #byId = new Map<MemberId, Member>();
  readonly #byName = new Map<string, Member>();
  /** In no order that means anything. */
  readonly #all: Member[] = [];
  readonly #random: Random;
  #living = 0;
  #low = 0;
  #high = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#all.length;
  }

  /** Living members but this one. */
  get living(): number {
    return this.#living;
  }

  get(id: MemberId): Member | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): Member | undefined {
    return this.#byName.get(name);
  }

  all(): readonly Member[] {
    return this.#all;
  }

  /** Of the living others and the given claim of this member. */
  digest(self: Claim): Digest {
    return [(this.#low ^ claimHash(self, 0)) >>> 0, (this.#high ^ claimHash(self, 1)) >>> 0];
  }

  add(claim: Claim, now: Millis): Member {
    const member = new Member(claim, now);
    member.slot = this.#all.length;
    this.#all.push(member);
    this.#byId.set(claim.id, member);
    this.#byName.set(claim.name, member);
    this.#count(member, 1);
    return member;
  }

  remove(member: Member): void {
    if (member.living) this.#count(member, -1);
    const last = this.#all.pop()!;
    if (last !== member) this.#put(last, member.slot);
    member.slot = -1;
    this.#byId.delete(member.claim.id);
    if (this.#byName.get(member.claim.name) === member) this.#byName.delete(member.claim.name);
  }

  /** Takes the member's newer word. */
  setClaim(member: Member, claim: Claim): void {
    if (member.living) this.#count(member, -1);
    if (claim.name !== member.claim.name) {
      this.#byName.delete(member.claim.name);
      this.#byName.set(claim.name, member);
    }
    member.claim = claim;
    member.incarnation = claim.incarnation;
    if (member.living) this.#count(member, 1);
  }

  setStatus(member: Member, status: Status, now: Millis): void {
    if (member.living) this.#count(member, -1);
    member.status = status;
    member.since = now;
    if (member.living) this.#count(member, 1);
  }

  /** Up to `count` different members at random of those that are acceptable. */
  pick(count: number, accept: (member: Member) => boolean): Member[] {
    const picked: Member[] = [];
    const all = this.#all;
    for (let i = 0; i < all.length && picked.length < count; i++) {
      const j = i + this.#random.below(all.length - i);
      const member = all[j]!;
      this.#put(all[i]!, j);
      this.#put(member, i);
      if (accept(member)) picked.push(member);
    }
    return picked;
  }

  #put(member: Member, slot: number): void {
    this.#all[slot] = member;
    member.slot = slot;
  }

  #count(member: Member, by: 1 | -1): void {
    this.#living += by;
    this.#low ^= claimHash(member.claim, 0);
    this.#high ^= claimHash(member.claim, 1);
  }
}

function claimHash(claim: Claim, seed: number): number {
  return hash32(`${claim.id} ${claim.boot} ${claim.incarnation}`, seed * 0x9e3779b9);
}

export function subjectOf(claim: Claim): Subject {
  const { id, boot, incarnation } = claim;
  return { id, boot, incarnation };
}
