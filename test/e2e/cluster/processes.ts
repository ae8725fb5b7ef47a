/** Members of a cluster as real processes, each with a config, a folder and ports of its own that outlive it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, fetch as overSocket } from 'undici';
import { stringify } from 'yaml';
import { Child, type Exit } from '../../helpers/child.ts';
import { mainFile } from '../../helpers/evenkeel.ts';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import type { Scope } from '../../helpers/scope.ts';

export const clusterKey = Buffer.alloc(32, 7).toString('base64');

export interface Seat {
  readonly name: string;
  readonly address: string;
  readonly admin: number;
  readonly port: number;
  readonly file: string;
  readonly folder: string;
  /** Path of the admin API's socket, which is reached from any network; null: it listens on `admin`. */
  readonly socket: string | null;
  /** What the process is started through (Child). */
  readonly through: readonly string[];
  child: Child | null;
}

/** Where members run, if not all on 127.0.0.1: the address of each, and what starts a process there. */
export interface Place {
  address(index: number): string;
  through(index: number): readonly string[];
}

interface ClusterShown {
  readonly leader: string | null;
  readonly quorum: boolean;
  readonly state: string;
  readonly cluster: string | null;
}

export class Processes {
  readonly seats: readonly Seat[];
  readonly #children: Child[] = [];

  private constructor(seats: readonly Seat[]) {
    this.seats = seats;
  }

  /** None of them runs yet. `change`: further keys of each one's `cluster`. */
  static async of(scope: Scope, count: number, change: object = {}, place: Place | null = null): Promise<Processes> {
    const seats: Seat[] = [];
    for (let i = 1; i <= count; i++) {
      const folder = await scope.folder();
      const [cluster, admin, port] = [await freePort(), await freePort(), await freePort()];
      const address = `${place?.address(i - 1) ?? '127.0.0.1'}:${cluster}`;
      const socket = place && join(folder, 'admin.sock');
      const through = place?.through(i - 1) ?? [];
      const file = join(folder, 'config.yaml');
      seats.push({ name: `n${i}`, address, admin, port, file, folder, socket, through, child: null });
    }
    const processes = scope.own(new Processes(seats));
    for (const seat of seats) await processes.write(seat, change);
    return processes;
  }

  /** `change`: keys of `cluster`; `more`: of the file. */
  write(seat: Seat, change: object = {}, more: object = {}): Promise<void> {
    const seeds = this.seats.filter((one) => one !== seat).map(({ address }) => address);
    const settings = {
      listen: `127.0.0.1:${seat.port}`,
      admin: seat.socket === null ? `127.0.0.1:${seat.admin}` : `unix:${seat.socket}`,
      workers: 1,
      log: { access: 'off' },
      pools: { app: { nodes: ['http://127.0.0.1:1'], health: 'off' } },
      dataDir: join(seat.folder, 'data'),
      cluster: {
        ...{ member: seat.name, address: seat.address, seeds, expect: this.seats.length, key: clusterKey },
        ...change,
      },
      ...more,
    };
    return writeFile(seat.file, stringify(settings));
  }

  start(...seats: readonly Seat[]): void {
    for (const seat of seats) this.run(seat, 'run');
  }

  run(seat: Seat, command: 'run' | 'witness'): void {
    seat.child = new Child(mainFile, { args: [command, '-c', seat.file], through: seat.through });
    this.#children.push(seat.child);
  }

  async end(seat: Seat, signal: NodeJS.Signals): Promise<Exit> {
    const { child } = seat;
    if (child === null) throw new Error(`${seat.name} does not run`);
    seat.child = null;
    child.kill(signal);
    return child.exit;
  }

  get running(): readonly Seat[] {
    return this.seats.filter(({ child }) => child !== null);
  }

  async ask(seat: Seat, path: string, init: RequestInit = {}): Promise<Response> {
    const asked = { headers: { 'content-type': 'application/json' }, ...init };
    const url = `http://127.0.0.1:${seat.admin}${path}`;
    if (seat.socket === null) return fetch(url, asked);
    const dispatcher = new Agent({ connect: { socketPath: seat.socket } });
    try {
      const reply = await overSocket(url, { ...(asked as object), dispatcher });
      return new Response(await reply.text(), { status: reply.status });
    } finally {
      await dispatcher.close();
    }
  }

  async shown(seat: Seat): Promise<ClusterShown> {
    return (await (await this.ask(seat, '/api/ha/cluster')).json()) as ClusterShown;
  }

  /** All that run are past their start: they listen, and take signals. */
  async ready(): Promise<void> {
    for (const seat of this.running) {
      const isReady = async (): Promise<boolean> => (await this.ask(seat, '/readyz')).status === 200;
      try {
        await until(`${seat.name} ready`, isReady, { withinMs: 60_000 });
      } catch (error) {
        throw new Error(`${(error as Error).message}\n--- ${seat.name}\n${seat.child?.output() ?? ''}`);
      }
    }
  }

  /** All that run know the same leader, one of them, and that there is a quorum. */
  async led(withinMs = 60_000): Promise<Seat> {
    const look = async (): Promise<Seat | null> => {
      const shown = await Promise.all(this.running.map((seat) => this.shown(seat)));
      const leaders = new Set(shown.map(({ leader }) => leader));
      const leader = this.running.find(({ name }) => name === shown[0]?.leader) ?? null;
      return leaders.size === 1 && shown.every(({ quorum }) => quorum) ? leader : null;
    };
    try {
      return await until('all know one leader', look, { withinMs, everyMs: 25 });
    } catch (error) {
      const output = this.seats.map(({ name, child }) => `--- ${name}\n${child?.output() ?? 'does not run'}`);
      throw new Error(`${(error as Error).message}\n${output.join('\n')}`);
    }
  }

  /** Until it is acknowledged: who led a moment ago need not lead now. */
  written(seat: Seat, key: string, value: string): Promise<true> {
    return until(`a write of ${key} through ${seat.name}`, () => this.put(seat, key, value), { withinMs: 60_000 });
  }

  /** Whether it was acknowledged. */
  async put(seat: Seat, key: string, value: string): Promise<boolean> {
    const body = JSON.stringify({ value });
    return (await this.ask(seat, `/api/ha/state/${key}`, { method: 'PUT', body })).status === 200;
  }

  /** As confirmed by the leader, or the status; asked again as long as none confirms it. The first answer counts. */
  async get(seat: Seat, key: string): Promise<unknown> {
    const look = async (): Promise<{ readonly value: unknown }> => {
      const response = await this.ask(seat, `/api/ha/state/${key}?consistency=quorum`);
      const shown = (await response.json()) as { readonly value?: unknown };
      if (response.status === 503 || response.status === 504) throw new Error(JSON.stringify(shown));
      return { value: response.status === 200 ? shown.value : response.status };
    };
    return (await until(`${seat.name} reads ${key}`, look, { withinMs: 60_000 })).value;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }
}
