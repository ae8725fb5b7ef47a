/** A world whose pool has a primary: the test says who it is, as control does, and sees what nodes receive. */
import type { ParkingConfig, SplitConfig } from '../../src/config/model.ts';
import type { PoolRow, PrimaryRow, RouteRow } from '../../src/routing/snapshot.ts';
import { type PoolCounter, poolCell } from '../../src/scoreboard/layout.ts';
import type { Fork, PrimaryWrite } from '../../src/scoreboard/primary.ts';
import { poolLine } from '../../src/scoreboard/scoreboard.ts';
import { field, type Message } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { type RawNode, startRawNode } from '../helpers/raw-node.ts';
import { type Scope, testScope } from '../helpers/scope.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

/** The clock of leases. */
export const hrtime = (): number => Number(process.hrtime.bigint()) / 1e6;

export const parking: ParkingConfig = { writes: 1000, bytes: 64 * 1024 * 1024, time: 15_000 };
export const split: SplitConfig = {
  writes: 'primary',
  reads: ['replicas', 'primary'],
  maxLag: 10_000,
  minReplicas: 0,
  stale: 3_600_000,
  readYourWrites: { mode: 'off', via: 'cookie', name: 'ek-after', wait: 500, bound: 5000 },
};

export interface PrimaryOptions extends WorldOptions {
  readonly nodes?: number;
  readonly parking?: Partial<ParkingConfig>;
  readonly split?: Partial<SplitConfig>;
  readonly ownReads?: Partial<SplitConfig['readYourWrites']>;
  readonly alone?: boolean;
  readonly route?: Partial<RouteRow>;
  readonly pool?: Partial<PoolRow>;
}

const primaryRow = (options: PrimaryOptions): PrimaryRow => ({
  parking: { ...parking, ...options.parking },
  split: { ...split, ...options.split, readYourWrites: { ...split.readYourWrites, ...options.ownReads } },
  alone: options.alone ?? true,
});

export interface LeaseOptions {
  /** ms from now in which writes may begin; default a minute. */
  readonly for?: number;
  /** ms from now after which they are cut; default a quarter of a second later. */
  readonly cutIn?: number;
  readonly forks?: readonly Fork[];
}

export class PrimaryWorld {
  readonly world: World;
  readonly nodes: readonly RawNode[];
  readonly scope: Scope;

  constructor(scope: Scope, world: World, nodes: readonly RawNode[]) {
    this.scope = scope;
    this.world = world;
    this.nodes = nodes;
  }

  /** Says it as control does. */
  say(record: Partial<PrimaryWrite>): void {
    const now = hrtime();
    this.world.board.primary.write(
      0,
      { mode: 'park', epoch: 0, node: null, writeUntil: 0, cutAt: 0, forks: [], ...record },
      now,
    );
  }

  /** A node of the config by its number. */
  place(index: number): { readonly slot: number; readonly generation: number } {
    const { slot, generation } = this.world.nodes[index]!;
    return { slot, generation };
  }

  lease(index: number, epoch: number, options: LeaseOptions = {}): void {
    const now = hrtime();
    const writeUntil = now + (options.for ?? 60_000);
    const cutAt = now + (options.cutIn ?? (options.for ?? 60_000) + 250);
    this.say({ mode: 'send', epoch, node: this.place(index), writeUntil, cutAt, forks: options.forks ?? [] });
  }

  /** Leave to write ends; what runs may end until `cutIn` ms from now. */
  park(index: number, epoch: number, cutIn = 60_000): void {
    this.say({ mode: 'park', epoch, node: this.place(index), cutAt: hrtime() + cutIn });
  }

  reader(index: number, kind: 'none' | 'fit' | 'behind' = 'fit', lag: number | null = null): void {
    this.world.board.primary.setReader({ pool: 0, node: this.world.nodes[index]!.slot }, { kind, lag });
  }

  position(index: number, position: number | null): void {
    this.world.board.primary.setPosition(this.world.nodes[index]!.slot, position);
  }

  get writing(): number {
    return this.world.board.primary.writing(0);
  }

  get parked(): number {
    return this.world.board.primary.parked(0);
  }

  get parkedBytes(): number {
    return this.world.board.lines[poolLine(0) + poolCell.parkedBytes]!;
  }

  count(counter: PoolCounter): number {
    return this.world.countPool(counter);
  }

  /** Nothing is held, nothing waits. */
  async quiet(clients = 0): Promise<void> {
    await until('no write is held', () => this.writing === 0 && this.parked === 0 && this.parkedBytes === 0);
    await this.world.quiet(clients);
  }
}

export async function primaryWorld(options: PrimaryOptions = {}): Promise<PrimaryWorld> {
  const scope = testScope();
  const nodes = await Promise.all(Array.from({ length: options.nodes ?? 2 }, () => startRawNode(scope)));
  const world = await startWorld(scope, nodes, {
    ...options,
    pool: { ...options.pool, primary: primaryRow(options) },
  });
  return new PrimaryWorld(scope, world, nodes);
}

export const post = (target: string, body = '', ...lines: readonly string[]): string =>
  [`POST ${target} HTTP/1.1`, 'Host: ek.test', `Content-Length: ${body.length}`, ...lines, '', body].join('\r\n');

/** `METHOD TARGET EPOCH` of each request that a node got. */
export const received = (node: RawNode): string[] =>
  node.requests().map((request: Message) => {
    const [method, target] = request.start.split(' ');
    return `${method} ${target} ${field(request, 'x-ha-epoch') ?? '-'}`;
  });
