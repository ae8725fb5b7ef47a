/**
 * How a cluster begins, exactly once (7.1).
 *
 *   new --all first voters heard: same set, empty journals--> promised(list), on disk
 *   promised --all promised the same list--> formed: cluster's id and voters, on disk
 *   new, promised --anybody: "I have a cluster"--> its first voter if the list is ours, else one who joins it
 *
 * The first voters are exactly the own address and the seeds; a member promises itself once, to one list of addresses
 * and uids. All of that list must have promised it. So it is never formed again while one of them remembers: a first
 * voter with an empty disk is another uid, to which nobody else promises himself. What is stuck says why.
 */
import type { MemberId, Millis } from '../../base/ids.ts';
import type { Address } from '../swim/model.ts';
import type { PeerName } from './contract.ts';
import type { Core } from './core.ts';
import { type ClusterFact, clusterBytes, type Promised, promiseBytes } from './disk-codec.ts';
import { clusterIdOf, sameVoters, setHash, setOf } from './first-voters.ts';
import type { FirstVoter, Word } from './words.ts';

type FormWord = Extract<Word, { readonly kind: 'form' }>;

interface Heard {
  readonly id: MemberId;
  readonly word: FormWord;
  readonly at: Millis;
}

/** A word of a first voter counts for so many of its own intervals. */
const freshIntervals = 12;

export class Formation {
  readonly #core: Core;
  readonly #formed: (fact: ClusterFact) => void;
  readonly #set: readonly Address[];
  readonly #hash: string;
  readonly #heard = new Map<Address, Heard>();
  #promised: Promised | null;
  /** The promise is on disk. */
  #sworn: boolean;
  /** The cluster is known, and on its way to the disk. */
  #decided = false;
  #sayAt: Millis;
  #reason = '';

  constructor(
    core: Core,
    options: { readonly promised: Promised | null; readonly formed: (fact: ClusterFact) => void },
  ) {
    this.#core = core;
    this.#formed = options.formed;
    this.#promised = options.promised;
    this.#sworn = options.promised !== null;
    this.#set = setOf(core.options.address, core.options.cluster?.seeds ?? []);
    this.#hash = setHash(this.#set);
    this.#sayAt = core.now;
    this.#check();
  }

  get reason(): string {
    return this.#reason;
  }

  wakeAt(): Millis {
    return this.#decided ? Number.POSITIVE_INFINITY : this.#sayAt;
  }

  #check(): void {
    const { expect } = this.#core;
    if (this.#promised !== null && this.#promised.set !== this.#hash) {
      const before = this.#promised.voters.map((one) => one.address).join(', ');
      return this.#core.stop(
        'first-voters',
        `address and seeds changed after this member promised itself to ${before}: set them back, or start it with an empty data folder if none of those has a cluster`,
      );
    }
    if (this.#set.length === expect) return;
    this.#core.stop(
      'first-voters',
      `address and seeds are ${this.#set.length} different addresses (${this.#set.join(', ')}), but expect is ${expect}: they must be exactly the first voters`,
    );
  }

  tick(): void {
    if (this.#decided || this.#core.now < this.#sayAt) return;
    this.#sayAt = this.#core.now + this.#core.settings.formMs;
    for (const address of this.#set) if (address !== this.#core.options.address) this.#say(address);
    this.#advance();
  }

  #say(to: Address): void {
    const { name, address } = this.#core.options;
    const promised = this.#sworn ? (this.#promised?.voters ?? null) : null;
    this.#core.sayAt(to, { kind: 'form', name, address, set: this.#hash, promised });
  }

  /** A member without a cluster speaks. */
  heard(from: PeerName, word: FormWord): void {
    if (this.#decided) return;
    const { address } = word;
    if (!this.#set.includes(address) || address === this.#core.options.address) {
      // Found otherwise than by address and seeds: it takes no part, and is told nothing.
      this.#core.refuse('not a first voter');
      return;
    }
    const before = this.#heard.get(address);
    this.#heard.set(address, { id: from.id, word, at: this.#core.now });
    if (before?.id !== from.id) this.#say(address);
    this.#advance();
  }

  /** Somebody has a cluster: that ends the attempt. */
  found(cluster: string): void {
    if (this.#decided) return;
    const voters = this.#promised?.voters ?? [];
    if (voters.length > 0 && clusterIdOf(voters) !== cluster) {
      this.#reason = `this member promised itself to first voters of whom some now belong to another cluster (${cluster}): start it with an empty data folder to join that one`;
      return;
    }
    this.#decide({ id: cluster, first: voters, leaving: false });
  }

  #advance(): void {
    const { expect, rules } = this.#core;
    const present = this.#present();
    if (present === null) return;
    if (this.#promised === null || !sameVoters(this.#promised.voters, present)) return this.#promise(present);
    const list = this.#promised.voters;
    const others = [...this.#heard.values()].filter(({ word, id }) => this.#agrees(word, id, list)).length;
    if (!this.#sworn || !rules.isFormed(others + 1, expect)) return;
    this.#decide({ id: clusterIdOf(list), first: list, leaving: false });
  }

  #agrees(word: FormWord, id: MemberId, list: readonly FirstVoter[]): boolean {
    const isInIt = list.some((one) => one.id === id && one.address === word.address);
    return isInIt && word.promised !== null && sameVoters(word.promised, list);
  }

  /** All first voters as they are now, if all were heard lately and know the same set; else why not. */
  #present(): readonly FirstVoter[] | null {
    const { now, settings, uid, options, rules, expect } = this.#core;
    const voters: FirstVoter[] = [];
    const missing: Address[] = [];
    for (const address of this.#set) {
      const heard = this.#heard.get(address);
      if (address === options.address) voters.push({ address, id: uid });
      else if (heard === undefined || now - heard.at > freshIntervals * settings.formMs) missing.push(address);
      else if (heard.word.set !== this.#hash)
        return this.#wait(
          `member ${heard.word.name} at ${address} has other first voters: address and seeds of all of them must be the same addresses`,
        );
      else voters.push({ address, id: heard.id });
    }
    if (missing.length > 0 && !rules.isFormed(voters.length, expect))
      return this.#wait(`waiting for ${missing.join(', ')}`);
    const twins = this.#twins(voters);
    if (twins !== null) return this.#wait(twins);
    const odd = voters.find((one) => this.#isPromisedElsewhere(one, voters));
    if (odd === undefined) return voters;
    return this.#wait(
      `the first voter at ${odd.address} promised itself to others than are there now (was a data folder lost?): if no member has a cluster, start all with empty data folders`,
    );
  }

  /** Later one of them would be refused for its name, and the quorum smaller than it seems. */
  #twins(voters: readonly FirstVoter[]): string | null {
    const { name: own, address: here } = this.#core.options;
    const places = new Map<string, Address>();
    for (const { address } of voters) {
      const name = address === here ? own : (this.#heard.get(address)?.word.name ?? '');
      const other = places.get(name);
      if (other !== undefined)
        return `two first voters are called ${name}, at ${other} and at ${address}: give each a name of its own`;
      places.set(name, address);
    }
    return null;
  }

  #isPromisedElsewhere({ address }: FirstVoter, voters: readonly FirstVoter[]): boolean {
    if (address === this.#core.options.address) return !this.#mayPromise(voters);
    const promised = this.#heard.get(address)?.word.promised ?? null;
    return promised !== null && !sameVoters(promised, voters);
  }

  #wait(reason: string): null {
    this.#reason = reason;
    return null;
  }

  #mayPromise(voters: readonly FirstVoter[]): boolean {
    const earlier = this.#promised === null ? null : clusterIdOf(this.#promised.voters);
    return this.#core.rules.mayPromise(earlier, clusterIdOf(voters));
  }

  #promise(voters: readonly FirstVoter[]): void {
    this.#promised = { set: this.#hash, voters };
    this.#reason = 'promising';
    this.#core.disk.fact({ promise: promiseBytes(this.#promised) }, () => {
      this.#sworn = true;
      this.#sayAt = this.#core.now;
      this.tick();
    });
  }

  #decide(fact: ClusterFact): void {
    this.#decided = true;
    this.#core.disk.fact({ cluster: clusterBytes(fact) }, () => this.#formed(fact));
  }
}
