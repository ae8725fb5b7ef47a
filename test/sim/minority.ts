/**
 * A minority refuses, and says so: who has not been able to reach a leader that reaches a quorum, whichever way the
 * words went, since before a call was made answers it neither as a committed write nor as a current read; and a while
 * after, it claims neither a quorum nor reads of strong writes.
 *
 * Judged by the net and by who is awake. A way counts as blocked only if it was all the time.
 */
import type { Millis } from '../../src/base/ids.ts';
import type { Call, CallAnswer } from '../../src/cluster/member/contract.ts';
import { Breach } from './breach.ts';
import type { Host } from './host.ts';
import type { Net } from './net.ts';
import type { Queue } from './queue.ts';

/** A read lease with its drift, and what one change of a clock's rate and a short sleep may add. */
const readLeaseMs: Millis = 1000;
/** A leader gives up, and a follower no longer believes in it, within this. */
const quorumMs: Millis = 3500;
const lookEveryMs: Millis = 20;

export interface MinorityWorld {
  readonly queue: Queue;
  readonly net: Net;
  readonly hosts: readonly Host[];
  /** Who votes, for as long as the world lasts; null: that may change. */
  readonly voters: readonly Host[] | null;
  covered(what: string): void;
}

export class Minority {
  readonly #world: MinorityWorld;
  readonly #lookedAt = new Map<Host, Millis>();

  constructor(world: MinorityWorld) {
    this.#world = world;
  }

  /** Since when no word and its answer can have passed between them. */
  #blockedSince(a: Host, b: Host): Millis {
    const { net } = this.#world;
    return Math.min(net.cutSince(a.address, b.address), net.cutSince(b.address, a.address), b.awaySince);
  }

  #reach(host: Host, since: Millis): readonly Host[] {
    return this.#world.hosts.filter((other) => other === host || this.#blockedSince(host, other) > since);
  }

  /** Whom it can have heard since then, whether they heard it or not. */
  #heard(host: Host, since: Millis): readonly Host[] {
    const { net, hosts } = this.#world;
    return hosts.filter(
      (other) => other === host || Math.min(net.cutSince(other.address, host.address), other.awaySince) > since,
    );
  }

  /** Whether one of these can have reached a quorum since then. */
  #hadQuorum(leaders: readonly Host[], since: Millis): boolean {
    const { voters } = this.#world;
    if (voters === null) return true;
    return leaders.some((leader) => {
      const reached = this.#reach(leader, since).filter((one) => voters.includes(one)).length;
      return reached > voters.length / 2;
    });
  }

  answered(host: Host, call: Call, about: { readonly askedAt: Millis; readonly answer: CallAnswer['answer'] }): void {
    const { answer, askedAt } = about;
    const lacked = (since: Millis): boolean => !this.#hadQuorum(this.#reach(host, since), since);
    if (!lacked(askedAt)) return;
    if (!answer.ok) return this.#world.covered(`minority: ${answer.error.kind}`);
    const { value } = answer;
    const isWrite = value.kind === 'written' && value.written.committed;
    // A leader answers reads under its lease.
    const isCurrent = value.kind === 'fresh' && call.kind === 'read' && call.need === 'current';
    if (isWrite || (isCurrent && lacked(askedAt - readLeaseMs)))
      throw new Breach('a minority refuses', `${host.name} answers a ${isWrite ? 'write' : 'read'} without a quorum`);
  }

  /** What it claims now, as it is awake. */
  stepped(host: Host): void {
    const { now } = this.#world.queue;
    const { body } = host;
    if (body === null || !host.awake || now < (this.#lookedAt.get(host) ?? 0) + lookEveryMs) return;
    this.#lookedAt.set(host, now);
    const since = now - readLeaseMs;
    if (since < host.wokeAt || this.#hadQuorum(this.#reach(host, since), since)) return;
    if (body.mayRead(host.now()))
      throw new Breach('a minority refuses', `${host.name} may read ${readLeaseMs} ms after it had a quorum`);
    this.#world.covered('minority: reads nothing');
    const before = now - quorumMs;
    // What waited for the end of a cut, or was sent again and again, was said by a leader of then.
    if (this.#world.hosts.some((other) => this.#world.net.lateAt(other.address, host.address) > before)) return;
    if (before < host.wokeAt || this.#hadQuorum(this.#heard(host, before), before)) return;
    if (body.status().quorum)
      throw new Breach('a minority refuses', `${host.name} claims a quorum ${quorumMs} ms after it had one`);
    this.#world.covered('minority: says so');
  }
}
