/**
 * The control thread's heart: takes a config that was found good and brings everything else to it.
 *
 *   Loaded -> addresses free? -> slots -> health (states into the scoreboard) -> rows -> publisher -> data threads
 *          -> new listeners open, old ones close -> what is gone is retired, and swept when nobody holds it
 *
 * All that can be refused comes before anything is changed. What did not change is not touched: a node keeps its row,
 * its health and its connections, a listener its sockets. Calls of apply() must not overlap (reload.ts sees to that).
 */
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { sameData } from '../base/equal.ts';
import type { Millis, NodeId } from '../base/ids.ts';
import type { Random } from '../base/random.ts';
import { err, ok, type Result } from '../base/result.ts';
import { monotonicNow } from '../cluster/io/clocks.ts';
import type { ReadyConfig } from '../config/io/ready.ts';
import type { Config, ListenAddress } from '../config/model.ts';
import type { NodeHealthReport } from '../health/contract.ts';
import { type HealthChange, HealthMonitor } from '../health/io/monitor.ts';
import type { PoolSpec } from '../health/policy.ts';
import type { NodeSignal } from '../proxy/outcome.ts';
import { buildRows } from '../routing/build.ts';
import type { Tables } from '../routing/compile.ts';
import { Publisher } from '../routing/publisher.ts';
import { maxThreads } from '../scoreboard/layout.ts';
import { Scoreboard } from '../scoreboard/scoreboard.ts';
import { ExpiryWatch, TicketKeys } from './certificates.ts';
import { describeChanges } from './changes.ts';
import { ConfigListeners, type WantedListeners } from './config-listeners.ts';
import type { PoolPlace } from './failover-board.ts';
import { HealthBoard } from './health-board.ts';
import type { Log } from './log.ts';
import { unresolvedNames } from './names.ts';
import { Slots } from './slots.ts';
import { ThreadPool } from './threads.ts';

export type Loaded = ReadyConfig;

export interface ControlOptions {
  readonly loaded: Loaded;
  readonly log: Log;
  readonly random: Random;
  /** Whether several sockets may share a port. */
  readonly reusePort: boolean;
  /** Of the data threads; default: the engine's. */
  readonly threadEntry?: URL;
}

/** Where a node's words are in the scoreboard. */
interface Place {
  readonly id: NodeId;
  readonly node: number;
  readonly pool: number;
  readonly generation: number;
}

/** What failover wants to know: checks of nodes, and where they are in the scoreboard. */
export interface FailoverLink {
  configure(config: Config, places: ReadonlyMap<string, PoolPlace>): void;
  report(report: NodeHealthReport): void;
}

/** What came of a config: phrases that say what changed, or lines that say why nothing did. */
export type Applied = Result<readonly string[], readonly string[]>;

const firstRoundWithin: Millis = 1500;
const housekeeping: Millis = 1000;
/** At most so many data threads; config allows no more. */
const workersMost = maxThreads / 2;

export class Control {
  readonly scoreboard: Scoreboard;
  readonly monitor: HealthMonitor;
  readonly slots: Slots;
  readonly threads: ThreadPool;
  readonly #options: ControlOptions;
  readonly #log: Log;
  readonly #board: HealthBoard;
  readonly #publisher = new Publisher();
  readonly #listeners: ConfigListeners;
  readonly #ticketKeys = new TicketKeys(performance.now());
  readonly #expiry = new ExpiryWatch(Date.now());
  #places: ReadonlyMap<string, Place> = new Map();
  #failover: FailoverLink | null = null;
  #rows: Tables | null = null;
  #loaded: Loaded;
  #version = 0;
  #firstRound = false;
  #housekeeper: NodeJS.Timeout | null = null;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#loaded = options.loaded;
    const { config } = options.loaded;
    const workers = this.#workers(config);
    this.scoreboard = Scoreboard.create(Math.min(maxThreads, 2 * Math.max(workers, availableParallelism())));
    const clientKey = randomBytes(8);
    this.scoreboard.keyClients([clientKey.readInt32LE(0), clientKey.readInt32LE(4)]);
    this.slots = new Slots(this.scoreboard);
    this.#board = new HealthBoard(this.scoreboard);
    this.monitor = new HealthMonitor({
      // The clock of leases: reports of checks are compared with them.
      now: monotonicNow,
      wallNow: Date.now,
      random: options.random,
      onChange: (change) => this.#healthChanged(change),
      log: ({ level, event, message, fields }) => this.#log[level](message, { event, ...fields }),
      onReport: (report) => this.#failover?.report(report),
    });
    this.threads = new ThreadPool({
      scoreboard: this.scoreboard,
      workers,
      sharedPorts: options.reusePort,
      access: accessOf(config),
      ticketKeys: this.#ticketKeys.current,
      log: options.log,
      full: () => this.#publisher.full(this.#version),
      onSignals: (signals) => this.#signalled(signals),
      onEvents: (events) => {
        for (const { level, event, message, fields } of events) this.#log[level](message, { event, ...fields });
      },
      onSwapped: () => this.#sweep(),
      ...(options.threadEntry === undefined ? {} : { entry: options.threadEntry }),
    });
    this.#listeners = new ConfigListeners({
      threads: this.threads,
      log: options.log,
      reusePort: options.reusePort,
      slotOf: (name) => this.slots.listener(name),
    });
  }

  get loaded(): Loaded {
    return this.#loaded;
  }

  /** Of the snapshot that was published last. */
  get version(): number {
    return this.#version;
  }

  /** Each node that is checked has been checked once. */
  get firstRoundDone(): boolean {
    return this.#firstRound;
  }

  /** Told of all that comes, and at once of what is there. */
  set failover(link: FailoverLink) {
    this.#failover = link;
    this.#tellPlaces();
  }

  #tellPlaces(): void {
    if (this.#rows !== null)
      this.#failover?.configure(this.#loaded.config, poolPlaces(this.#loaded.config, this.#rows));
  }

  /** Real addresses by listener name. */
  listeners(): ReadonlyMap<string, ListenAddress> {
    return this.#listeners.addresses();
  }

  isOpen(name: string): boolean {
    return this.#listeners.isOpen(name);
  }

  /** First config: everything begins. The error says in words what could not be had; close() after it. */
  async start(): Promise<Result<null, readonly string[]>> {
    const { config } = this.#loaded;
    const free = await this.#listeners.check(wantedOf(this.#loaded));
    if (!free.ok) return free;
    const rows = this.#build(this.#loaded);
    if (!rows.ok) return rows;
    this.#places = placesOf(rows.value);
    this.#rows = rows.value;
    this.monitor.configure(poolSpecs(this.#loaded));
    this.#tellPlaces();
    this.#publisher.publish(rows.value, ++this.#version);
    this.#housekeeper = setInterval(() => this.#keepHouse(), housekeeping).unref();
    void this.#warnOfNames(config);
    void this.monitor.firstRoundDone().then(() => {
      this.#firstRound = true;
    });
    const [started] = await Promise.all([this.threads.start(), this.#firstHealth()]);
    if (!started) return err(['the data threads did not start within a minute; see the log above']);
    return this.#listeners.open(free.value);
  }

  /** Another config. The error says why all stayed as it was. `against`: asked last, in the turn in which it comes into force. */
  async apply(next: Loaded, against: () => readonly string[] = () => []): Promise<Applied> {
    const before = this.#loaded;
    const changes = [...describeChanges(before.config, next.config), ...renewedCertificates(before, next)];
    if (changes.length === 0) return ok([]);
    const free = await this.#listeners.check(wantedOf(next));
    if (!free.ok) return free;
    const lines = against();
    if (lines.length > 0) return err(lines);
    const rows = this.#build(next);
    if (!rows.ok) return rows;
    this.#loaded = next;
    this.#log.setLevel(next.config.log.level);
    this.#places = placesOf(rows.value);
    this.#board.keepOnly(new Set([...this.#places.values()].map(({ node }) => node)));
    this.#rows = rows.value;
    this.monitor.configure(poolSpecs(next));
    this.#tellPlaces();
    // The old snapshot serves until the new nodes are known: a pool whose nodes are all new would have none that is fit.
    await this.#firstHealth();
    const version = ++this.#version;
    const messages = this.#publisher.publish(rows.value, version);
    if (!(await this.threads.publish(messages, version)))
      this.#log.warn('a data thread did not take the new config over in time; it will, or be ended', { version });
    this.#resize(next.config);
    const { config } = next;
    if (!sameData(accessOf(before.config), accessOf(config))) this.threads.setAccess(accessOf(config));
    await this.#listeners.change(free.value, wantedOf(next));
    this.slots.retire(config, version);
    this.#sweep();
    void this.#warnOfNames(config);
    return ok(changes);
  }

  async close(): Promise<void> {
    if (this.#housekeeper !== null) clearInterval(this.#housekeeper);
    this.monitor.close();
    await this.threads.close();
  }

  #build(next: Loaded): Result<Tables, readonly string[]> {
    try {
      return ok(buildRows(next.config, this.slots, next.upstreamTls));
    } catch (error) {
      this.slots.retire(this.#loaded.config, this.#version);
      return err([(error as Error).message]);
    }
  }

  #workers(config: Config): number {
    if (!this.#options.reusePort) return 1;
    const wanted = config.workers === 'auto' ? availableParallelism() - 1 : config.workers;
    return Math.min(workersMost, Math.max(1, wanted));
  }

  #resize(config: Config): void {
    const wanted = this.#workers(config);
    const most = Math.floor(this.scoreboard.threads / 2);
    if (wanted > most) this.#log.warn(`workers: ${wanted} needs a restart; ${most} run until then`);
    this.threads.resize(Math.min(wanted, most));
  }

  /** Resolves when each node has been checked, or when waiting any longer would be worse than beginning without. */
  async #firstHealth(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, firstRoundWithin);
    });
    await Promise.race([this.monitor.firstRoundDone(), late]);
    clearTimeout(timer);
  }

  #healthChanged({ pool, node, view, previous }: HealthChange): void {
    const place = this.#places.get(placeName(pool, node));
    if (place === undefined) return;
    const fresh = previous === null || previous.fitness !== view.fitness;
    this.#board.write(view, place, fresh);
  }

  /** What traffic said of a node that has been replaced meanwhile is not held against the one that has its row now. */
  #signalled(signals: readonly NodeSignal[]): void {
    for (const { pool, node, slot, generation, signal, detail } of signals) {
      const place = this.#places.get(placeName(pool, node));
      if (place === undefined || place.node !== slot || place.generation !== generation) continue;
      this.monitor.report(pool, place.id, signal, detail);
    }
  }

  #keepHouse(): void {
    this.#board.freeProbation(performance.now());
    this.#sweep();
    const keys = this.#ticketKeys.rotate(performance.now());
    if (keys !== null) this.threads.useTicketKeys(keys);
    for (const line of this.#expiry.look(this.#loaded.tls, Date.now()))
      this.#log.warn(line, { event: 'certificate-expires' });
  }

  #sweep(): void {
    this.slots.sweep(this.threads.oldestHeld());
  }

  async #warnOfNames(config: Config): Promise<void> {
    for (const line of await unresolvedNames(config)) this.#log.warn(line, { event: 'name-unresolved' });
  }
}

const wantedOf = ({ config, tls }: Loaded): WantedListeners => ({ listen: config.listen, tls });

const accessOf = (config: Config): { format: 'json' | 'combined' | 'off'; file: string | null } => ({
  format: config.log.access,
  file: config.log.accessFile,
});

const renewedCertificates = (from: Loaded, to: Loaded): string[] => [
  ...renewed(from.tls, to.tls).map((name) => `certificate of listener ${name}`),
  ...renewed(from.upstreamTls, to.upstreamTls).map((name) => `certificates of pool ${name}`),
];

const renewed = <T>(from: ReadonlyMap<string, T>, to: ReadonlyMap<string, T>): string[] =>
  [...to].filter(([name, now]) => from.has(name) && !sameData(from.get(name), now)).map(([name]) => name);

/** As health wants them: an https node is probed with what its pool says of TLS. */
const poolSpecs = ({ config, upstreamTls }: Loaded): PoolSpec[] =>
  config.pools.map((pool) => ({
    ...pool,
    nodes: pool.nodes.map((node) => {
      const secure = upstreamTls.get(pool.name);
      if (node.address.kind === 'unix' || !node.address.tls || secure === undefined) return node;
      return { ...node, address: { ...node.address, secure } };
    }),
  }));

const placeName = (pool: string, node: string): string => JSON.stringify([pool, node]);

function poolPlaces(config: Config, rows: Tables): ReadonlyMap<string, PoolPlace> {
  const slots = new Map(rows.pools.map(({ name, slot }) => [name, slot]));
  return new Map(
    config.pools.flatMap(({ name, split }): [string, PoolPlace][] => {
      const slot = slots.get(name);
      if (split === null || slot === undefined) return [];
      const nodes = new Map((rows.nodes.get(name) ?? []).map((row) => [row.id as string, row]));
      return [[name, { slot, nodes, split }]];
    }),
  );
}

function placesOf(rows: Tables): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  for (const pool of rows.pools) {
    for (const { id, slot, generation } of rows.nodes.get(pool.name) ?? [])
      places.set(placeName(pool.name, id), { id, node: slot, pool: pool.slot, generation });
  }
  return places;
}
