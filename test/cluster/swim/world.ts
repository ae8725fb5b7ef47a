/** Members over the virtual network, by short names: m0, m1, ... at 10.0.x.y:7946. */
import { type MemberId, type Millis, memberId } from '../../../src/base/ids.ts';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import type { Address, Claim, Metadata, Status, SwimEvent } from '../../../src/cluster/swim/model.ts';
import type { SwimSettings } from '../../../src/cluster/swim/settings.ts';
import { Swim } from '../../../src/cluster/swim/swim.ts';
import { type Faults, type Host, Net } from './net.ts';

export const idOf = (n: number): MemberId => memberId((n + 1).toString(16).padStart(32, '0'));
export const addressOf = (n: number): Address => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}:7946`;
export const metadata: Metadata = { version: '1.0.0', priority: 100, witness: false, admin: '', zone: '' };

export function claimOf(n: number, changes: Partial<Claim> = {}): Claim {
  const self = { id: idOf(n), name: `m${n}`, address: addressOf(n) };
  return { ...self, boot: 1, incarnation: 1, joining: false, metadata, ...changes };
}

export interface Told {
  readonly at: Millis;
  readonly host: Host;
  readonly event: SwimEvent;
}

export interface WorldOptions {
  readonly members: number;
  readonly seed?: number;
  readonly faults?: Partial<Faults>;
  readonly settings?: Partial<SwimSettings>;
  readonly codec?: boolean;
}

export class World {
  readonly net: Net;
  readonly random: Random;
  readonly hosts: Host[] = [];
  readonly told: Told[] = [];
  readonly #settings: Partial<SwimSettings>;

  constructor(options: WorldOptions) {
    this.random = seededRandom(options.seed ?? 1);
    this.#settings = options.settings ?? {};
    this.net = new Net(this.random, { codec: options.codec ?? true });
    Object.assign(this.net.faults, options.faults);
    this.net.onEvent = (host, event) => void this.told.push({ at: this.net.now, host, event });
    for (let n = 0; n < options.members; n++) this.hosts.push(this.start(n));
  }

  host(n: number): Host {
    return this.hosts[n]!;
  }

  /** A process; not joined yet. `as` changes who it claims to be. */
  start(n: number, as: { boot?: number; id?: MemberId; name?: string; address?: Address } = {}): Host {
    const self = { id: as.id ?? idOf(n), boot: as.boot ?? 1, name: as.name ?? `m${n}`, metadata };
    const address = as.address ?? addressOf(n);
    const swim = new Swim(
      { self: { ...self, address }, settings: this.#settings },
      seededRandom(this.random.below(2 ** 31)),
    );
    return this.net.add(address, swim);
  }

  join(host: Host, ...seeds: readonly number[]): void {
    this.net.give(host, { kind: 'join', seeds: seeds.map(addressOf) });
  }

  /** Everybody joins through the first two, and it is waited until all see all. */
  formed(deadline: Millis = 20_000): this {
    for (const host of this.hosts) this.join(host, 0, 1);
    const end = this.net.now + deadline;
    while (!this.whole()) {
      if (this.net.now >= end) throw new Error(`not formed after ${deadline} ms:\n${this.picture()}`);
      this.run(100);
    }
    return this;
  }

  run(ms: Millis): void {
    this.net.runUntil(this.net.now + ms);
  }

  /** Runs until the condition holds; how long it took, or Infinity. */
  until(condition: () => boolean, deadline: Millis): Millis {
    const start = this.net.now;
    while (!condition()) {
      if (this.net.now - start >= deadline) return Number.POSITIVE_INFINITY;
      this.run(50);
    }
    return this.net.now - start;
  }

  status(of: number, by: number): Status | 'unknown' {
    const view = this.host(by)
      .swim.members()
      .find((member) => member.claim.id === idOf(of));
    return view?.status ?? 'unknown';
  }

  /** All running members hold exactly the running members to be living, and none suspect. */
  whole(): boolean {
    const running = [...this.net.hosts.values()].filter((host) => host.running);
    const ids = running.map((host) => host.swim.members()[0]!.claim.id).sort();
    return running.every((host) => {
      const views = host.swim.members();
      if (views[0]!.state !== 'ACTIVE' || views.some((view) => view.status === 'suspect')) return false;
      const living = views.filter((view) => view.status === 'alive' && view.state === 'ACTIVE');
      return sameIds(living.map((view) => view.claim.id).sort(), ids);
    });
  }

  events<K extends SwimEvent['kind']>(kind: K, host?: Host): Extract<SwimEvent, { kind: K }>[] {
    const found = this.told.filter((told) => told.event.kind === kind && (host === undefined || told.host === host));
    return found.map((told) => told.event as Extract<SwimEvent, { kind: K }>);
  }

  /** Who holds whom for what, one line per member. */
  picture(): string {
    const line = (host: Host): string =>
      host.swim
        .members()
        .map((view) => `${view.claim.name}:${view.status}/${view.claim.incarnation}`)
        .join(' ');
    return this.hosts.map(line).join('\n');
  }
}

const sameIds = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);
