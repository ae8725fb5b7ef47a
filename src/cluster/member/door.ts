/**
 * Where words come in. Each passes, in this order: bytes -> a word -> a run that counts -> the same cluster -> its room.
 * From outside only the words of formation and joining are let in; who belongs to another cluster is shown as a split.
 */
import type { MemberId } from '../../base/ids.ts';
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
    if (word.kind === 'away') return this.#away(from.id, head, word);
    this.#parts.identity.admit(from, head.run, () => this.#admitted(from, head, word));
  }

  /** Who sends us away may not count itself; it speaks of our own run, in our own cluster, and changes nothing else. */
  #away(by: MemberId, head: Head, word: Extract<Word, { readonly kind: 'away' }>): void {
    const { cluster } = this.#core;
    if (cluster !== null && head.cluster !== cluster) return this.#core.refuse('another cluster');
    const reason = this.#parts.identity.sentAway(by, word);
    if (reason === null || reason === this.#parts.joining.reason) return;
    this.#core.note(reason);
    this.#parts.joining.reason = reason;
  }

  #admitted(from: PeerName, head: Head, word: Word): void {
    const core = this.#core;
    if (core.stopped !== null) return;
    if (core.cluster === null) return this.#withoutCluster(from, head, word);
    const isOutside = head.cluster === '' && (word.kind === 'form' || word.kind === 'join');
    if (head.cluster !== core.cluster && !isOutside) {
      core.refuse('another cluster');
      if (head.cluster !== '') {
        this.#parts.watchman.sawSplit(
          `member ${core.book.nameOf(from.id)} belongs to cluster ${head.cluster}, this one to ${core.cluster}`,
        );
      }
      return;
    }
    if (word.kind === 'form') {
      core.book.note(from.id, word.address, word.name);
      return core.say(from.id, { kind: 'cluster', leader: this.#parts.joining.addressOfLeader() });
    }
    if (word.kind === 'cluster') {
      this.#parts.joining.leaderIsAt(word.leader);
      return;
    }
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
