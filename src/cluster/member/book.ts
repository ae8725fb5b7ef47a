/** Where members are and what they are called: from gossip, from the words of formation, from who joins. */
import type { MemberId } from '../../base/ids.ts';
import type { Address, MemberView } from '../swim/model.ts';

interface Line {
  readonly address: Address;
  /** Empty while only its address is known. */
  readonly name: string;
}

export class Book {
  readonly #lines = new Map<MemberId, Line>();
  readonly #replaced = new Set<MemberId>();
  /** Of runs that proved themselves to this one. */
  readonly #proved = new Map<MemberId, { readonly boot: number; readonly address: Address }>();
  #views: readonly MemberView[] = [];

  note(id: MemberId, address: Address, name: string): void {
    const known = this.#lines.get(id);
    if (known?.address === address && (name === '' || known.name === name)) return;
    this.#lines.set(id, { address, name: name === '' ? (known?.name ?? '') : name });
  }

  /** Where the run is that counts: another process that claims its uid in gossip does not draw its words away. */
  proved(id: MemberId, boot: number, address: Address): void {
    this.#proved.set(id, { boot, address });
    this.note(id, address, '');
  }

  /** Gossip's list, which knows best. */
  saw(views: readonly MemberView[]): void {
    this.#views = views;
    for (const { claim } of views) {
      const proved = this.#proved.get(claim.id);
      const isOther = proved !== undefined && proved.boot !== claim.boot;
      this.note(claim.id, isOther ? proved.address : claim.address, claim.name);
    }
  }

  get views(): readonly MemberView[] {
    return this.#views;
  }

  view(id: MemberId): MemberView | null {
    return this.#views.find(({ claim }) => claim.id === id) ?? null;
  }

  addressOf(id: MemberId): Address | null {
    return this.#lines.get(id)?.address ?? null;
  }

  /** Its name; the beginning of its uid while that is not known. */
  nameOf(id: MemberId): string {
    const name = this.#lines.get(id)?.name ?? '';
    return name === '' ? id.slice(0, 8) : name;
  }

  lineOf(id: MemberId): Line | null {
    return this.#lines.get(id) ?? null;
  }

  /** By uid, else by name among `among`: of several of that name a living one, or one that is `lost`. */
  find(member: string, among: readonly MemberId[], lost = false): MemberId | null {
    const exact = among.find((id) => id === member);
    if (exact !== undefined) return exact;
    const named = among.filter((id) => this.#lines.get(id)?.name === member);
    return named.find((id) => this.isAlive(id) !== lost) ?? named[0] ?? null;
  }

  /** As gossip holds it. A suspect still counts as living. */
  isAlive(id: MemberId): boolean {
    const status = this.view(id)?.status;
    return status === 'alive' || status === 'suspect';
  }

  /** Gossip holds it dead or gone; of one whose name it gave to another, it has forgotten even that. */
  isDead(id: MemberId): boolean {
    const status = this.view(id)?.status;
    return status === 'dead' || status === 'left' || (status === undefined && this.#replaced.has(id));
  }

  /** Gossip let another take the name of this one, which it only does when this one is dead. */
  replaced(id: MemberId): void {
    this.#replaced.add(id);
  }
}
