/**
 * What to believe of the others, given a statement (SWIM 4.2, Lifeguard). A statement counts only against what it may
 * overrule; pairs are (boot, incarnation):
 *
 *   alive    overrules anything of a lower pair
 *   suspect  overrules alive of the same or a lower incarnation in the same boot
 *   dead     overrules alive and suspect of the same or a lower incarnation in the same boot; so does left
 *
 * What changed a belief is passed on. About this member itself only this member knows: accusations are refuted with an
 * incarnation above the accused one (own-word.ts). Forged leaps of a number are refused, since an honest history grows
 * in small steps; a member's own word, heard directly, corrects a leap that was believed at first sight.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Conflicts } from './conflicts.ts';
import { type Core, type Hearing, leapMax } from './core.ts';
import type { Member } from './member-list.ts';
import type { Sender, Sight, Subject } from './messages.ts';
import { type Claim, sightMembersMax } from './model.ts';
import { heardAccusation, heardOwnClaim } from './own-word.ts';

export class Beliefs {
  readonly #core: Core;
  readonly #conflicts: Conflicts;

  constructor(core: Core, conflicts: Conflicts) {
    this.#core = core;
    this.#conflicts = conflicts;
  }

  alive(claim: Claim, hearing: Hearing): void {
    const { self, list } = this.#core;
    if (claim.id === self.claim.id) return heardOwnClaim(this.#core, this.#conflicts, { claim, now: hearing.now });
    const held = list.get(claim.id);
    if (held !== undefined && !isNewer(claim, held)) return this.#notNewer(claim, held, hearing.now);
    const holder = this.#holderOfName(claim);
    if (holder !== null) return this.#conflicts.refuse('name', holder, { claimed: claim, now: hearing.now });
    if (held === undefined) this.#meet(claim, hearing);
    else this.#renew(held, claim, hearing);
  }

  suspect(subject: Subject, by: MemberId, hearing: Hearing): void {
    if (subject.id === this.#core.self.claim.id) return heardAccusation(this.#core, subject, 'suspect');
    const member = this.#accused(subject);
    if (member === undefined) return;
    // Only the member itself raises its incarnation: it has refuted since, and this is another suspicion.
    const another = subject.incarnation > member.incarnation;
    member.incarnation = subject.incarnation;
    if (member.status === 'suspect' && !another) {
      if (this.#core.suspicions.confirm(subject.id, by)) this.#tell('suspect', member, { by, hearing });
      return;
    }
    this.#startSuspicion(member, by, hearing);
  }

  dead(subject: Subject, by: MemberId, hearing: Hearing): void {
    if (subject.id === this.#core.self.claim.id) return heardAccusation(this.#core, subject, 'dead');
    const member = this.#accused(subject);
    if (member !== undefined) this.#bury(member, { by, hearing, incarnation: subject.incarnation });
  }

  left(subject: Subject, hearing: Hearing): void {
    const { self, list, suspicions, outbox, queue } = this.#core;
    if (subject.id === self.claim.id) return heardAccusation(this.#core, subject, 'dead');
    const member = this.#accused(subject);
    if (member === undefined) return;
    member.incarnation = subject.incarnation;
    suspicions.clear(subject.id);
    list.setStatus(member, 'left', hearing.now);
    outbox.event({ kind: 'left', claim: member.claim });
    if (!hearing.quiet) queue.add({ kind: 'left', subject: member.subject() });
  }

  sight(sight: Sight, hearing: Hearing): void {
    const { list, queue, counts } = this.#core;
    const member = list.get(sight.id);
    if (member === undefined || member.claim.boot !== sight.boot || sight.number <= member.sightNumber) return;
    if (list.living >= sightMembersMax) return;
    if (sight.number > Math.max(0, member.sightNumber) + leapMax) {
      counts.refused.leap++;
      return;
    }
    member.sightNumber = sight.number;
    member.blindTo = sight.blindTo;
    if (!hearing.quiet) queue.add(sight);
  }

  /** A message of this sender came in. The member, if it is known in this boot, living or not. */
  hear(sender: Sender, now: Millis): Member | undefined {
    const member = this.#core.list.get(sender.id);
    if (member === undefined || !this.#ownWord(member, sender, now)) return undefined;
    member.heardAt = now;
    member.score = sender.score;
    return member;
  }

  /** This member's own suspicions that have run out. `call` pings a suspect for the last time. */
  expire(now: Millis, call: (suspect: Member) => void): void {
    const by = this.#core.self.claim.id;
    for (;;) {
      const due = this.#core.suspicions.nextDue(now);
      if (due === undefined) return;
      const { member } = due;
      if (!due.over) call(member);
      else this.#bury(member, { by, hearing: { now, quiet: false }, incarnation: member.incarnation });
    }
  }

  #holderOfName(claim: Claim): Claim | null {
    const { self, list } = this.#core;
    if (claim.name === self.claim.name) return self.claim;
    const holder = list.byName(claim.name);
    return holder?.living === true && holder.claim.id !== claim.id ? holder.claim : null;
  }

  #notNewer(claim: Claim, held: Member, now: Millis): void {
    const same = claim.boot === held.claim.boot && claim.incarnation === held.claim.incarnation;
    if (!same || !held.living || sameProcess(claim, held.claim)) return;
    this.#conflicts.refuse('id', held.claim, { claimed: claim, now });
  }

  #meet(claim: Claim, hearing: Hearing): void {
    const { list, order, outbox } = this.#core;
    const before = list.byName(claim.name);
    if (before !== undefined) this.#drop(before);
    if (list.size >= this.#core.settings.membersMax && !this.#makeRoom()) {
      this.#core.counts.refused.full++;
      return;
    }
    order.add(list.add(claim, hearing.now));
    outbox.event({ kind: 'joined', claim, replaced: before?.claim.id ?? null });
    this.#passOn(claim, hearing);
  }

  /** The member's newer word, in this boot or a later one. */
  #renew(member: Member, claim: Claim, hearing: Hearing): void {
    const { self, list, counts, order, suspicions, doubt } = this.#core;
    const sameBoot = claim.boot === member.claim.boot;
    const moved = sameBoot && !sameProcess(claim, member.claim);
    // One that is dead takes the number of its start from nobody: it may have been a copy of this one's data folder.
    if (moved && member.living) return this.#conflicts.refuse('id', member.claim, { claimed: claim, now: hearing.now });
    const from = sameBoot ? member.incarnation : 0;
    if (claim.boot > member.claim.boot + leapMax || claim.incarnation > from + leapMax) {
      counts.refused.leap++;
      return;
    }
    const nameHolder = list.byName(claim.name);
    if (nameHolder !== undefined && nameHolder !== member) this.#drop(nameHolder);
    const { claim: before, status } = member;
    if (sameBoot && suspicions.isAccusedBy(claim.id, self.claim.id)) doubt.wasWrong(hearing.now);
    if (sameBoot && status !== 'alive') doubt.refuted(claim.id, hearing.now);
    list.setClaim(member, claim);
    suspicions.clear(claim.id);
    if (status !== 'alive') list.setStatus(member, 'alive', hearing.now);
    if (!sameBoot || moved) forgetBoot(member);
    member.accuser = null;
    order.add(member);
    this.#tellRenewal(before, claim, status);
    this.#passOn(claim, hearing);
  }

  #tellRenewal(before: Claim, claim: Claim, was: Member['status']): void {
    const { outbox } = this.#core;
    if (before.boot !== claim.boot) {
      if (was === 'dead' || was === 'left') outbox.event({ kind: 'joined', claim, replaced: null });
      else outbox.event({ kind: 'restarted', claim, before });
      return;
    }
    if (was !== 'alive') outbox.event({ kind: 'refuted', claim, was: was === 'suspect' ? 'suspect' : 'dead' });
    if (!sameMetadata(before, claim)) outbox.event({ kind: 'metadata', claim, before });
  }

  /** The living member that an accusation is about, if it counts. */
  #accused(subject: Subject): Member | undefined {
    const member = this.#core.list.get(subject.id);
    if (member === undefined || !member.living || member.claim.boot !== subject.boot) return undefined;
    if (subject.incarnation < member.incarnation) return undefined;
    if (subject.incarnation <= member.incarnation + leapMax) return member;
    this.#core.counts.refused.leap++;
    return undefined;
  }

  #startSuspicion(member: Member, by: MemberId, hearing: Hearing): void {
    const { list, suspicions, outbox, counts } = this.#core;
    if (member.status !== 'suspect') outbox.event({ kind: 'suspected', claim: member.claim, by });
    list.setStatus(member, 'suspect', hearing.now);
    member.accuser = by;
    counts.suspicions++;
    suspicions.start(member, { by, living: list.living + 1, now: hearing.now });
    this.#tell('suspect', member, { by, hearing });
  }

  #bury(member: Member, context: { by: MemberId; hearing: Hearing; incarnation: number }): void {
    const { list, suspicions, outbox, counts } = this.#core;
    const { by, hearing } = context;
    member.incarnation = context.incarnation;
    member.accuser = by;
    suspicions.clear(member.claim.id);
    list.setStatus(member, 'dead', hearing.now);
    counts.deaths++;
    outbox.event({ kind: 'dead', claim: member.claim, by });
    this.#tell('dead', member, { by, hearing });
  }

  #tell(kind: 'suspect' | 'dead', member: Member, context: { by: MemberId; hearing: Hearing }): void {
    if (!context.hearing.quiet) this.#core.queue.add({ kind, subject: member.subject(), by: context.by });
  }

  #passOn(claim: Claim, hearing: Hearing): void {
    if (!hearing.quiet) this.#core.queue.add({ kind: 'alive', claim });
  }

  #drop(member: Member): void {
    this.#core.suspicions.clear(member.claim.id);
    this.#core.list.remove(member);
  }

  /** Forgets the one that has been gone for longest. */
  #makeRoom(): boolean {
    let oldest: Member | undefined;
    for (const member of this.#core.list.all())
      if (!member.living && (oldest === undefined || member.since < oldest.since)) oldest = member;
    if (oldest !== undefined) this.#drop(oldest);
    return oldest !== undefined;
  }

  /** False if the sender's boot is not the known one. Corrects numbers that were forged before it was first heard. */
  #ownWord(member: Member, sender: Sender, now: Millis): boolean {
    const forgedBoot = member.claim.boot > sender.boot + leapMax;
    if (member.claim.boot !== sender.boot && !forgedBoot) return false;
    if (!forgedBoot && member.incarnation <= sender.incarnation + leapMax) return true;
    const { boot, incarnation } = sender;
    this.#core.counts.refused.leap++;
    this.#core.suspicions.clear(sender.id);
    this.#core.list.setClaim(member, { ...member.claim, boot, incarnation });
    if (member.status !== 'alive') this.#core.list.setStatus(member, 'alive', now);
    this.#core.order.add(member);
    return true;
  }
}

const isNewer = (claim: Claim, held: Member): boolean =>
  claim.boot > held.claim.boot || (claim.boot === held.claim.boot && claim.incarnation > held.incarnation);

const sameProcess = (a: Claim, b: Claim): boolean => a.name === b.name && a.address === b.address;

function sameMetadata(a: Claim, b: Claim): boolean {
  const [x, y] = [a.metadata, b.metadata];
  return (
    a.joining === b.joining &&
    x.version === y.version &&
    x.priority === y.priority &&
    x.witness === y.witness &&
    x.admin === y.admin &&
    x.zone === y.zone
  );
}

function forgetBoot(member: Member): void {
  member.reach = 'unknown';
  member.missed = 0;
  member.score = 0;
  member.sightNumber = -1;
  member.blindTo = [];
}
