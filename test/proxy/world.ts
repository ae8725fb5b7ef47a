/**
 * A real engine in this process, between real sockets: raw nodes behind it, raw clients in front of it. What it counts,
 * holds and tells is in plain sight.
 */

import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { Engine, type EngineOptions } from '../../src/proxy/io/engine.ts';
import type { EngineEvent, NodeSignal, Outcome } from '../../src/proxy/outcome.ts';
import { snapshotOf } from '../../src/routing/compile.ts';
import type { NodeRow, PoolRow, RouteRow, Settings, Snapshot } from '../../src/routing/snapshot.ts';
import {
  type NodeCounter,
  nodeCounters,
  type PoolCounter,
  poolCounters,
  threadCell,
} from '../../src/scoreboard/layout.ts';
import { counterRow, Scoreboard, threadLine } from '../../src/scoreboard/scoreboard.ts';
import { pause, until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { RawClient } from '../helpers/raw-client.ts';
import type { Scope } from '../helpers/scope.ts';
import { waitingFor } from '../helpers/tcp.ts';
import { node as nodeRow, pool as poolRow, route as routeRow, settings } from '../routing/fixtures.ts';
import { inFlight, poolGauge, setNode } from './fixtures.ts';

/** No head's deadline ends what should have ended by itself while a test waits for it. */
const timeouts: Settings['timeouts'] = { ...settings.timeouts, head: 600_000 };

export interface WorldOptions {
  readonly pool?: Partial<PoolRow>;
  readonly route?: Partial<RouteRow>;
  readonly settings?: Partial<Settings>;
  /** Slots of nodes that are backups. */
  readonly backups?: readonly number[];
  readonly engine?: Partial<EngineOptions>;
  /** Another snapshot in its place, for planted faults. */
  readonly wrap?: (snapshot: Snapshot) => Snapshot;
}

export class World {
  readonly board = Scoreboard.create(1);
  readonly outcomes: Outcome[] = [];
  readonly events: EngineEvent[] = [];
  readonly signals: NodeSignal[] = [];
  readonly engine: Engine;
  readonly port: number;
  drained = 0;
  readonly #scope: Scope;
  nodes: readonly NodeRow[];
  readonly #options: WorldOptions;
  #version = 0;

  constructor(scope: Scope, port: number, nodePorts: readonly number[], options: WorldOptions) {
    this.#scope = scope;
    this.port = port;
    this.#options = options;
    this.nodes = nodePorts.map((at, slot) => ({
      ...nodeRow('app', `n-${slot}`, slot),
      address: { kind: 'tcp', host: '127.0.0.1', port: at },
      authority: `127.0.0.1:${at}`,
      backup: options.backups?.includes(slot) ?? false,
    }));
    for (const { slot } of this.nodes) setNode(this.board, slot);
    this.engine = new Engine({
      thread: 0,
      scoreboard: this.board,
      random: seededRandom(1),
      onSignal: (signal) => this.signals.push(signal),
      onEvent: (event) => this.events.push(event),
      onOutcome: (outcome) => this.outcomes.push(outcome),
      onDrained: () => this.drained++,
      ...options.engine,
    });
    this.swap();
  }

  /** The same routes as a new version; other nodes or another pool if said so. */
  swap(pool: Partial<PoolRow> = {}): void {
    this.#version++;
    const snapshot = snapshotOf(this.#version, {
      settings: { ...settings, timeouts, ...this.#options.settings },
      pools: [poolRow('app', this.nodes.length, { ...this.#options.pool, ...pool })],
      nodes: new Map([['app', this.nodes]]),
      routes: [routeRow('r', this.#options.route)],
      listeners: { test: 0 },
    });
    this.engine.swap(this.#options.wrap?.(snapshot) ?? snapshot);
  }

  listen(): Promise<void> {
    const address = { kind: 'tcp', host: '127.0.0.1', port: this.port } as const;
    return this.engine.listen({ slot: 0, name: 'test', address, tls: null, sockets: 1, reusePort: false });
  }

  client(): RawClient {
    return this.#scope.own(new RawClient(this.port));
  }

  #thread(cell: keyof typeof threadCell): number {
    return this.board.lines[threadLine(0) + threadCell[cell]]!;
  }

  get oldestHeld(): number {
    return this.#thread('oldestHeld');
  }

  get connections(): number {
    return this.#thread('connections');
  }

  get upstreams(): number {
    return this.#thread('upstreams');
  }

  get exceptions(): number {
    return this.#thread('exceptions');
  }

  get inFlight(): number {
    return this.nodes.reduce((sum, { slot }) => sum + inFlight(this.board, slot), 0);
  }

  get pending(): number {
    return poolGauge(this.board, 'pending');
  }

  count(counter: NodeCounter, slot = 0): number {
    return this.board.sum(counterRow.node(slot) + nodeCounters.indexOf(counter));
  }

  countPool(counter: PoolCounter): number {
    return this.board.sum(counterRow.pool(0) + poolCounters.indexOf(counter));
  }

  /** Waits until no exchange is under way and all that exchanges take is given back; `clients` connections stay open. */
  async quiet(clients = 0): Promise<void> {
    this.swap();
    const zero = { inFlight: 0, active: 0, pending: 0, retrying: 0, connections: clients, oldestHeld: this.#version };
    const now = (): typeof zero => ({
      inFlight: this.inFlight,
      active: poolGauge(this.board, 'active'),
      pending: this.pending,
      retrying: poolGauge(this.board, 'retrying'),
      connections: this.connections,
      oldestHeld: this.#thread('oldestHeld'),
    });
    const same = (): boolean => JSON.stringify(now()) === JSON.stringify(zero);
    await until('all given back', same).catch(() => {});
    expect(now()).toEqual(zero);
  }

  stop(): void {
    this.engine.destroy();
  }
}

/** An engine in front of nodes on these ports. */
export async function startWorld(
  scope: Scope,
  nodes: readonly { readonly port: number }[],
  options: WorldOptions = {},
): Promise<World> {
  const ports = nodes.map((one) => one.port);
  const world = scope.own(new World(scope, await freePort(), ports, options));
  await world.listen();
  return world;
}

/** A port on which a connection is neither accepted nor refused: its listener stands still, its backlog is full. */
export async function deafPort(scope: Scope): Promise<{ readonly port: number }> {
  const cell = new SharedArrayBuffer(4);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const server = require('node:net').createServer();
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(workerData), 0, 0);
     });`,
    { eval: true, workerData: cell },
  );
  scope.own({ stop: async () => void (await worker.terminate()) });
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  for (let filled = false; !filled; ) {
    const socket: Socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    scope.own({ stop: () => void socket.destroy() });
    const connected = new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)));
    const taken = await Promise.race([connected, pause(150).then(() => false)]);
    filled = !taken && waitingFor(port) > 0;
  }
  return { port };
}

/** A port that refuses. */
export async function closedPort(): Promise<{ readonly port: number }> {
  return { port: await freePort() };
}
