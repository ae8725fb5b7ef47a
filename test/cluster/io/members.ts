/** Real members on loopback in this process, each with a folder and a port of its own. */
import { MemberCoordinator } from '../../../src/cluster/io/coordinator.ts';
import { MemberHost } from '../../../src/cluster/io/member-host.ts';
import type { MemberHostOptions } from '../../../src/cluster/io/member-options.ts';
import { freePort } from '../../helpers/ports.ts';
import { folder } from './folders.ts';
import { secret, until } from './hosts.ts';

export interface Seat {
  readonly name: string;
  readonly address: string;
  readonly path: string;
  host: MemberHost | null;
  readonly stops: string[];
  readonly notes: string[];
}

export class Members {
  readonly seats: Seat[];

  private constructor(seats: Seat[]) {
    this.seats = seats;
  }

  static async of(count: number): Promise<Members> {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    const seats = ports.map((port, i) => ({
      ...{ name: `m${i + 1}`, address: `127.0.0.1:${port}`, path: folder(), host: null },
      ...{ stops: [], notes: [] },
    }));
    return new Members(seats);
  }

  /** `listen: null`: without a socket. */
  async start(seat: Seat, over: Partial<MemberHostOptions> = {}): Promise<MemberHost> {
    const others = this.seats.filter((one) => one !== seat).map((one) => one.address);
    const opened = await MemberHost.open({
      name: seat.name,
      address: seat.address,
      listen: seat.address,
      path: seat.path,
      keys: [secret(1)],
      cluster: this.seats.length === 1 ? null : { seeds: others, expect: this.seats.length },
      metadata: { version: '1', priority: 100, witness: false, admin: '', zone: '' },
      watchersMax: 20,
      onStop: (why) => seat.stops.push(why),
      onEvent: (event) => {
        if (event.kind === 'note') seat.notes.push(event.text);
      },
      ...over,
    });
    if (!opened.ok) throw new Error(opened.error);
    seat.host = opened.value;
    return opened.value;
  }

  startAll(over: Partial<MemberHostOptions> = {}): Promise<unknown> {
    return Promise.all(this.seats.map((seat) => this.start(seat, over)));
  }

  get running(): readonly Seat[] {
    return this.seats.filter((seat) => seat.host !== null);
  }

  get leader(): Seat | null {
    const leads = this.running.filter(({ host }) => host!.status().raft?.role === 'leader' && host!.status().quorum);
    return leads.length === 1 ? leads[0]! : null;
  }

  get followers(): readonly Seat[] {
    return this.running.filter((seat) => seat !== this.leader);
  }

  /** All that run know one leader with a quorum, and it is there. */
  led(ms = 30_000): Promise<void> {
    const isLed = (): boolean =>
      this.leader !== null &&
      this.running.every(
        ({ host }) => host!.status().quorum && host!.status().leader === this.leader!.host!.status().uid,
      );
    return until('all know one leader', isLed, ms);
  }

  coordinator(seat: Seat): MemberCoordinator {
    return new MemberCoordinator(seat.host!);
  }

  async stop(seat: Seat): Promise<void> {
    const { host } = seat;
    seat.host = null;
    await host?.close();
  }

  async close(): Promise<void> {
    await Promise.all(this.seats.map((seat) => this.stop(seat)));
  }
}
