/** What every connection of a thread shares: clock, wheel, counters, the snapshot in force, and who is told what. */
import { randomBytes } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Millis } from '../../base/ids.ts';
import { Wheel } from '../../base/wheel.ts';
import type { RequestFacts, Settings } from '../../routing/snapshot.ts';
import { type RefusalReason, refusalReasons, threadCell } from '../../scoreboard/layout.ts';
import { counterRow, type Scoreboard, threadLine } from '../../scoreboard/scoreboard.ts';
import { clientRules } from '../client-limits.ts';
import type { HeadLimits } from '../http1/request-head.ts';
import type { BorrowedReads } from './borrowed-reads.ts';
import { BufferList, bufferBytes, SpareBuffers } from './buffers.ts';
import type { Client } from './client.ts';
import { ClientLimiter } from './client-limiter.ts';
import type { EngineOptions } from './engine.ts';
import type { SnapshotHolds } from './holds.ts';
import { Parking } from './parking.ts';
import type { Pools } from './pools.ts';
import { Writes } from './writes.ts';

const tickMs = 50;

/** `00` to `zz`: a number is made text once for 1296 requests (0.1 us for each). */
const lastDigits = Array.from({ length: 36 * 36 }, (_, value) => value.toString(36).padStart(2, '0'));

/** The facts of the request being matched: one object per thread, overwritten for each. */
export class Facts implements RequestFacts {
  listener = 0;
  host = '';
  path = '';
  method = '';
  source: { header(name: string): string | undefined } | null = null;

  header(name: string): string | undefined {
    return this.source?.header(name);
  }
}

export class Context {
  readonly options: EngineOptions;
  readonly scoreboard: Scoreboard;
  readonly counters: Float64Array;
  readonly wheel: Wheel;
  readonly buffers = new BufferList();
  readonly spare = new SpareBuffers();
  /** Sockets read heads and small bodies into this one; nothing in it outlives the callback. */
  readonly shared = Buffer.allocUnsafeSlow(bufferBytes);
  readonly facts = new Facts();
  /** How accepted sockets read into `shared`, too (-2.2 us per request of 100 B); null where this version of Node can't. */
  borrowedReads: BorrowedReads | null = null;
  /** The same over TLS (-2.9 us of 33 per request of 100 B). */
  borrowedTlsReads: BorrowedReads | null = null;
  readonly holds: SnapshotHolds;
  readonly pools: Pools;
  readonly writes: Writes = new Writes(this);
  readonly parking: Parking = new Parking(this);
  /** Open client connections. */
  readonly clients = new Set<Client>();
  settings!: Settings;
  headLimits!: HeadLimits;
  /** Whether an address is in trustedProxies. Another function after each change of the settings. */
  isTrusted: (address: string) => boolean = () => false;
  /** null: nothing is limited per client address. Another one after each change of the settings. */
  limiter: ClientLimiter | null = null;
  /** Called when a client connection has closed. */
  clientClosed: () => void = () => {};
  draining = false;
  /** Connections in lingering close; bounded. */
  lingering = 0;
  /** Of TLS sessions; 48 bytes. */
  ticketKeys: Buffer;
  /** Signs the tokens of reads after writes; the same in all threads and members. */
  tokenKey: Uint8Array;
  /** IMF-fixdate of the current second. */
  date = '';
  readonly #line: number;
  /** From this thread's clock to the one that all threads share; read after it, so that a lease never looks longer. */
  readonly #hrtimeOffset: Millis;
  readonly #idPrefix = randomBytes(8).toString('hex');
  /** The digits before the last two, and how often those have turned. */
  #idStart = '';
  #idTurns = 0;
  #idDigits = lastDigits.length;

  constructor(
    options: EngineOptions,
    parts: { readonly holds: SnapshotHolds; readonly pools: (context: Context) => Pools },
  ) {
    this.options = options;
    this.scoreboard = options.scoreboard;
    this.counters = options.scoreboard.counters(options.thread);
    this.wheel = new Wheel({ tickMs, slots: 2048, now: performance.now() });
    this.#line = threadLine(options.thread);
    this.holds = parts.holds;
    this.pools = parts.pools(this);
    this.ticketKeys = Buffer.from(options.ticketKeys ?? randomBytes(48));
    this.tokenKey = options.tokenKey ?? randomBytes(32);
    const own = performance.now();
    this.#hrtimeOffset = Number(process.hrtime.bigint()) / 1e6 - own;
    this.#updateDate();
  }

  /** Monotonic ms, fresh. */
  now(): number {
    return performance.now();
  }

  /** process.hrtime in ms, fresh: the clock of leases. */
  hrtime(): Millis {
    return performance.now() + this.#hrtimeOffset;
  }

  get tickMs(): number {
    return tickMs;
  }

  /** The heartbeat that the control thread watches, and what may not wait: ends of leases. */
  tick(): void {
    this.scoreboard.lines[this.#line + threadCell.heartbeat]!++;
    this.#updateDate();
    this.writes.look();
  }

  /** One turn of the wheel. */
  expire(): void {
    this.wheel.advance(performance.now());
  }

  #updateDate(): void {
    this.date = new Date().toUTCString();
  }

  /** 16 random digits per thread and a counter: unique, and cheap enough for every request. */
  newRequestId(): string {
    if (this.#idDigits === lastDigits.length) {
      this.#idStart = this.#idPrefix + (this.#idTurns++).toString(36).padStart(4, '0');
      this.#idDigits = 0;
    }
    return this.#idStart + lastDigits[this.#idDigits++]!;
  }

  useSettings(settings: Settings): void {
    if (settings === this.settings) return;
    this.settings = settings;
    const { limits, fields } = settings;
    this.headLimits = { ...limits, underscore: fields.underscore, trailers: fields.trailers };
    this.isTrusted = trustOf(settings.trustedProxies);
    const rules = clientRules(limits.perAddress);
    const { scoreboard, thread } = this.options;
    this.limiter = rules === null ? null : new ClientLimiter(this, rules, scoreboard.clients(thread));
  }

  addToThread(cell: number, by: number): void {
    this.scoreboard.lines[this.#line + cell]! += by;
  }

  /** Client connections of the whole process. */
  connections(): number {
    let total = 0;
    for (let thread = 0; thread < this.scoreboard.threads; thread++) {
      total += this.scoreboard.lines[threadLine(thread) + threadCell.connections]!;
    }
    return total;
  }

  countRefusal(reason: RefusalReason): void {
    this.counters[counterRow.refusals() + refusalReasons.indexOf(reason)]!++;
  }

  /** An exception that a guard caught: a bug, reported with its stack, never the thread's end. */
  exception(where: string, error: unknown): void {
    this.addToThread(threadCell.exceptions, 1);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.options.onEvent({
      level: 'error',
      event: 'exchange-threw',
      message: `an exchange was ended by an exception in ${where}: ${stack.split('\n', 1)[0]}`,
      fields: { where, stack },
    });
  }
}

function trustOf(entries: readonly string[]): (address: string) => boolean {
  if (entries.length === 0) return () => false;
  const list = new BlockList();
  for (const entry of entries) addTo(list, entry);
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

function addTo(list: BlockList, entry: string): void {
  const [address = '', bits] = entry.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (bits === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(bits), family);
}
