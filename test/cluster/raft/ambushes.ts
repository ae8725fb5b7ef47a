/**
 * Faults that chance alone would hardly put together: each is the situation in which one known mistake does harm.
 * A correct machine passes them all unharmed.
 */
import type { Random } from '../../../src/base/random.ts';
import type { Lab, Machine } from './lab.ts';

const lasts = 2500;

function others(lab: Lab, leader: Machine): Machine[] {
  const { config } = leader.raft!.status();
  return config.voters.filter((id) => id !== leader.id).map((id) => lab.machines.get(id)!);
}

/** One voter can't hear the leader; as it stands, the others restart, and nothing of the leader gets through any more. */
export function forgetful(lab: Lab, random: Random, restart: (machine: Machine) => void): void {
  const leader = lab.leaders[0];
  if (leader === undefined) return;
  const [first, ...rest] = others(lab, leader);
  if (first === undefined) return;
  lab.heal();
  // Nothing is written meanwhile, so that its log stays as new as the others'.
  lab.quiet = true;
  lab.at(lab.now + 200, () => lab.part(leader.id, first.id));
  lab.at(lab.now + 1100 + random.next() * 300, () => {
    lab.quiet = false;
    lab.isolate(leader.id);
    for (const machine of rest) restart(machine);
  });
  lab.at(lab.now + lasts, () => lab.heal());
}

/** Answers reach the leader late, while nothing that it says gets through any more. */
export function lateAnswers(lab: Lab, random: Random): void {
  const leader = lab.leaders[0];
  if (leader === undefined) return;
  lab.heal();
  lab.slowTo.set(leader.id, 500 + random.next() * 300);
  lab.at(lab.now + 1500, () => {
    for (const id of lab.machines.keys()) lab.cut.add(`${leader.id}>${id}`);
  });
  lab.at(lab.now + 1500 + lasts, () => {
    lab.slowTo.clear();
    lab.heal();
  });
}

/** Leadership is handed over, and the old leader hears nothing of what comes of it. */
export function deafAfterTransfer(lab: Lab, _random: Random): void {
  const leader = lab.leaders[0];
  if (leader === undefined) return;
  lab.heal();
  lab.step(leader.id, { kind: 'transfer', to: null });
  lab.at(lab.now + 1, () => {
    for (const id of lab.machines.keys()) lab.cut.add(`${id}>${leader.id}`);
  });
  lab.at(lab.now + lasts, () => lab.heal());
}

/** The leader is cut off with one other, and told to remove two on the far side, one directly after the other. */
export function twoRemovals(lab: Lab, _random: Random): void {
  const leader = lab.leaders[0];
  if (leader === undefined) return;
  const [near, ...far] = others(lab, leader);
  if (near === undefined || far.length < 3) return;
  lab.heal();
  for (const machine of far) {
    lab.part(leader.id, machine.id);
    lab.part(near.id, machine.id);
  }
  for (const machine of far.slice(0, 2)) {
    lab.step(leader.id, { kind: 'change', id: -1, change: { kind: 'remove', member: machine.id }, force: true });
  }
  lab.at(lab.now + lasts, () => lab.heal());
}
