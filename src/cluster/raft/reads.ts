/**
 * Reads that see every write that was answered before them, without writing anything (Raft 8, dissertation 6.4).
 *
 * The leader notes what is committed as the read comes, proves by a round begun after it that it still led then, and
 * answers once that much is applied. Reads that come while such a round runs share the next one. Under a live lease no
 * round is needed. A follower asks the leader, and waits until it has applied the index that comes back.
 */
import type { Core } from './core.ts';
import { beginRound } from './leading.ts';
import { isReady, readableUntil } from './leases.ts';
import type { ReadIndex, ReadIndexReply } from './messages.ts';
import type { MemberId } from './model.ts';
import type { LeaderRole } from './role-state.ts';

/** More than a run of a member asks for. */
const readsPerRun = 2 ** 32;
const runsTold = 2 ** 20;

/** What the leader is asked under: an answer that an earlier run of this member asked for is none to this one. */
const wireId = ({ settings }: Core, id: number): number => (settings.boot % runsTold) * readsPerRun + id;

export function read(core: Core, id: number, lease: boolean): void {
  const { role } = core;
  if (role.at === 'leader') {
    if (lease && core.now < readableUntil(core)) confirmed(core, { id, from: null, index: core.commit });
    else enqueue(core, role, { id, from: null });
  } else if (role.at === 'follower' && role.leader !== null) {
    core.askedReads.set(id, core.now + core.settings.electionMinMs);
    core.send({ kind: 'readIndex', to: role.leader, id: wireId(core, id) });
  } else core.out.reads.push({ id, index: null });
}

export function onReadIndex(core: Core, message: ReadIndex): void {
  const { from, id } = message;
  if (core.role.at === 'leader') enqueue(core, core.role, { id, from });
  else core.send({ kind: 'readIndexReply', to: from, id, index: null });
}

export function onReadIndexReply(core: Core, message: ReadIndexReply): void {
  const id = message.id - wireId(core, 0);
  if (message.from !== core.leader || !core.askedReads.delete(id)) return;
  if (message.index === null) core.out.reads.push({ id, index: null });
  else core.confirmedReads.push({ id, index: message.index });
}

function enqueue(core: Core, leader: LeaderRole, one: { readonly id: number; readonly from: MemberId | null }): void {
  if (!isReady(core, leader)) leader.earlyReads.push(one);
  else leader.reads.push({ ...one, index: core.commit, round: leader.rounds.current + 1 });
}

/** Confirms what rounds have proven, and begins a round for what waits for one. */
export function advanceReads(core: Core, leader: LeaderRole): void {
  if (leader.earlyReads.length > 0 && isReady(core, leader)) {
    const early = leader.earlyReads;
    leader.earlyReads = [];
    for (const one of early) enqueue(core, leader, one);
  }
  if (leader.reads.length === 0) return;
  settleReads(core, leader);
  // One round at a time for reads: those that come meanwhile share the next.
  const oldest = leader.reads[0];
  if (oldest === undefined || oldest.round <= leader.rounds.current) return;
  beginRound(core, leader, false);
  settleReads(core, leader);
}

function settleReads(core: Core, leader: LeaderRole): void {
  const done = leader.reads.filter((one) => core.rules.confirmsRead(one.round, leader.rounds.confirmed));
  if (done.length === 0) return;
  leader.reads = leader.reads.filter((one) => !done.includes(one));
  for (const one of done) confirmed(core, one);
}

function confirmed(
  core: Core,
  one: { readonly id: number; readonly from: MemberId | null; readonly index: number },
): void {
  if (one.from === null) core.confirmedReads.push({ id: one.id, index: one.index });
  else core.send({ kind: 'readIndexReply', to: one.from, id: one.id, index: one.index });
}

/** Answers reads whose index is applied; gives up those that the leader did not answer. */
export function answerReads(core: Core): void {
  if (core.confirmedReads.length > 0) {
    const ripe = core.confirmedReads.filter(({ index }) => index <= core.applied);
    core.confirmedReads = core.confirmedReads.filter(({ index }) => index > core.applied);
    core.out.reads.push(...ripe);
  }
  for (const [id, giveUpAt] of core.askedReads) {
    if (core.now < giveUpAt) continue;
    core.askedReads.delete(id);
    core.out.reads.push({ id, index: null });
  }
}
