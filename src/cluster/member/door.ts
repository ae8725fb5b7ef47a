/**
 * Where words come in. Each passes, in this order: bytes -> a word -> a run that counts -> the same cluster -> its room.
 * From outside only the words of formation and joining are let in; who belongs to another cluster is shown as a split.
 */
import { decodeWord } from './codec.ts';
import type { MemberInput, PeerName } from './contract.ts';
import type { Core } from './core.ts';
import type { Formation } from './formation.ts';
import type { House } from './house.ts';
import type { Identity } from './identity.ts';
import type { Joining } from './joining.ts';
import type { Watchman } from './status.ts';
import type { Head, Word } from './words.ts';

export interface DoorParts {
  readonly identity: Identity;
  readonly joining: Joining;
  readonly watchman: Watchman;
  /** Null once there is a cluster. */
  readonly formation: () => Formation | null;
  /** Null until there is one. */
  readonly house: () => House | null;
}

export class Door {
  readonly #core: Core;
  readonly #parts: DoorParts;

  constructor(core: Core, parts: DoorParts) {
    this.#core = core;
    this.#parts = parts;
  }

  message({ from, bytes }: Extract<MemberInput, { readonly kind: 'message' }>): void {
    if (from.id === this.#core.uid) return this.#core.refuse('our own uid');
    const decoded = decodeWord(bytes, from);
    if (!decoded.ok) return this.#core.refuse(`word: ${decoded.error}`);
    const { head, word } = decoded.value;
    if (this.#isForeign(from, head)) return;
    const { identity } = this.#parts;
    const speaking = { ...from, run: head.run, address: 'address' in word ? word.address : null };
    if (word.kind === 'who') return identity.asked(speaking, word);
    if (word.kind === 'run') return identity.told(speaking, word);
    identity.admit(speaking, () => this.#admitted(from, head, word));
  }

  /** Nothing of another cluster is used, so it need not prove anything. */
  #isForeign({ id }: PeerName, { cluster }: Head): boolean {
    const { core, parts } = { core: this.#core, parts: this.#parts };
    if (core.cluster === null || cluster === '' || cluster === core.cluster) return false;
    core.refuse('another cluster');
    parts.watchman.sawSplit(
      `member ${core.book.nameOf(id)} belongs to cluster ${cluster}, this one to ${core.cluster}`,
    );
    return true;
  }

  #admitted(from: PeerName, head: Head, word: Word): void {
    const core = this.#core;
    if (core.stopped !== null) return;
    if (core.cluster === null) return this.#withoutCluster(from, head, word);
    // It may have waited until there was a cluster here.
    if (this.#isForeign(from, head)) return;
    const isOutside = word.kind === 'form' || word.kind === 'join';
    if (head.cluster === '' && !isOutside) return core.refuse('another cluster');
    if (word.kind === 'form') {
      core.book.note(from.id, word.address, word.name);
      return core.say(from.id, { kind: 'cluster', leader: this.#parts.joining.addressOfLeader() });
    }
    if (word.kind === 'cluster') {
      this.#parts.joining.leaderIsAt(word.leader);
      return;
    }
    if (word.kind === 'away') return this.#parts.joining.sentAway(from.id, word);
    this.#parts.house()?.heard({ ...from, run: head.run }, head, word);
  }

  #withoutCluster(from: PeerName, head: Head, word: Word): void {
    if (head.cluster !== '') {
      if (word.kind === 'cluster') {
        this.#parts.joining.leaderIsAt(word.leader);
        this.#parts.formation()?.found(head.cluster);
      }
      return;
    }
    if (word.kind !== 'form') return;
    this.#core.book.note(from.id, word.address, word.name);
    this.#parts.formation()?.heard(from, word);
  }
}
