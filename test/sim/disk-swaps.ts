/**
 * What people do to disks behind the members' backs: an old copy is put back in silence, and perhaps started some times
 * where nobody hears it; a disk is lost and replaced by an empty one; two disks change places; a second process is
 * started on a copy.
 *
 * A copy that lacks a run which some peer counted must be found out, however it was started; then it stays down. What it
 * takes away is remembered, for what was committed before was on it.
 */
import type { MemberId, Millis } from '../../src/base/ids.ts';
import type { MemberRestored } from '../../src/cluster/member/contract.ts';
import { bootOf } from '../../src/cluster/member/rules.ts';
import { uidOf } from './bare.ts';
import { Breach } from './breach.ts';
import { emptyDisk, type Host } from './host.ts';
import type { Queue } from './queue.ts';

export interface SwapWorld {
  readonly queue: Queue;
  readonly hosts: readonly Host[];
  /** Not among the hosts: nobody asks it anything. */
  readonly twin: Host | null;
  start(host: Host): void;
  crash(host: Host): void;
  note(who: string, text: string): void;
}

export class DiskSwaps {
  /** Members whose disk was put back: they may say anything until they are found out. */
  readonly forgetful = new Set<Host>();
  readonly #world: SwapWorld;
  readonly #copies = new Map<Host, MemberRestored>();
  readonly #lost = new Map<MemberId, MemberRestored[]>();
  #emptied = 0;

  constructor(world: SwapWorld) {
    this.#world = world;
  }

  keepCopy(host: Host): void {
    this.#copies.set(host, host.disk.state);
  }

  /** What was on this member's disk and was taken from it. */
  lost(uid: MemberId): readonly MemberRestored[] {
    return this.#lost.get(uid) ?? [];
  }

  #takeAway({ disk }: Host): void {
    this.#lost.set(disk.state.uid, [...this.lost(disk.state.uid), disk.state]);
  }

  /** Whether somebody counted a run that the copy knows nothing of. */
  #isMissed(copy: MemberRestored, host: Host): boolean {
    return this.#world.hosts.some(
      (other) => other !== host && bootOf(other.disk.state.boots.get(copy.uid)?.both ?? 0) > copy.boot,
    );
  }

  /** `silent`: how often it is started where nobody hears it. False if there is no copy that lacks anything. */
  putBack(host: Host, silent: number): boolean {
    const copy = this.#copies.get(host);
    if (copy === undefined || copy.uid !== host.uid || !this.#isMissed(copy, host)) return false;
    this.#world.crash(host);
    this.#takeAway(host);
    host.disk.state = { ...copy, boot: copy.boot + silent };
    this.forgetful.add(host);
    this.#world.start(host);
    return true;
  }

  /** A disk is lost; the member comes back with an empty one, under its name and address. */
  empty(host: Host): void {
    this.#world.crash(host);
    this.#takeAway(host);
    this.#emptied += 1;
    host.disk.state = emptyDisk(uidOf(`${this.#emptied} ${host.address}`));
    this.#copies.delete(host);
  }

  exchange(a: Host, b: Host): void {
    for (const host of [a, b]) this.#world.crash(host);
    [a.disk.state, b.disk.state] = [b.disk.state, a.disk.state];
    this.#copies.delete(a);
    this.#copies.delete(b);
  }

  /** A second process on an older copy of this disk, elsewhere. False if there is none that lacks anything. */
  startTwin(host: Host, silent: number): boolean {
    const { twin } = this.#world;
    const copy = this.#copies.get(host);
    if (twin === null || copy === undefined || copy.uid !== host.uid || !this.#isMissed(copy, host)) return false;
    twin.disk.state = { ...copy, boot: copy.boot + silent };
    this.#world.start(twin);
    return true;
  }

  /** All that is not the newest of its member is found out and stays down. */
  check(withinMs: Millis): void {
    const { twin } = this.#world;
    for (const host of [...this.forgetful, ...(twin === null ? [] : [twin])])
      if (host.body !== null)
        throw new Breach(
          'amnesia',
          `${host.name} goes on with an older copy of its disk ${withinMs} ms after the last fault`,
        );
  }
}
