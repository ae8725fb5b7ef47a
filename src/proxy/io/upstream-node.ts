/**
 * The connections of one thread to one node. Idle ones are a stack: the youngest is used first, so that the rest age and
 * close. A request that may not be sent twice gets only a connection that was busy within the last second, and since any
 * other one broke, else a new one: 471 of 730 POSTs were lost in a race with an app server's own keep-alive time-out
 * otherwise.
 */
import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext } from 'node:tls';
import { sameData } from '../../base/equal.ts';
import type { NodeRow, PoolRow } from '../../routing/snapshot.ts';
import { bucketOf } from '../../scoreboard/histogram.ts';
import { type NodeCounter, nodeCounters } from '../../scoreboard/layout.ts';
import { counterRow } from '../../scoreboard/scoreboard.ts';
import type { Context } from './context.ts';
import { Pipeline } from './pipeline.ts';
import { Upstream } from './upstream.ts';

const freshMs = 1000;
/** Connections that break within this time broke together. */
const sameBreakMs = 100;

const columns = Object.fromEntries(nodeCounters.map((name, index) => [name, index])) as Record<NodeCounter, number>;

/** What does not change from one connection to the next. An address is no server name; Node verifies it as an address. */
function upstreamTlsOptions(tls: PoolRow['tls'], host: string): ConnectionOptions {
  const { ca, cert, key } = tls ?? { ca: null, cert: null, key: null };
  const name = tls?.servername ?? host;
  return {
    secureContext: createSecureContext({
      ...(ca === null ? {} : { ca }),
      ...(cert === null || key === null ? {} : { cert, key }),
    }),
    rejectUnauthorized: tls?.verify ?? true,
    ALPNProtocols: ['http/1.1'],
    ...(isIP(name) === 0 ? { servername: name } : {}),
  };
}

export class UpstreamNode {
  readonly context: Context;
  row: NodeRow;
  #limits: PoolRow['upstream'];
  #pool: PoolRow;
  #tls: ConnectionOptions | null = null;
  /** Stands for the rules by which connections are verified: another one after each change of them. */
  #trust = {};
  /** The last TLS session: the next connection resumes it. */
  #session: Buffer | undefined;
  readonly #counters: Float64Array;
  readonly #base: number;
  readonly #histogram: number;
  #idle: Upstream[] = [];
  /** Oldest first. Requests fill the first one with room, so that heads gather and others stay idle. */
  readonly #pipelines: Pipeline[] = [];
  #aloneUntil = Number.NEGATIVE_INFINITY;
  #retired = false;
  #brokeAt = Number.NEGATIVE_INFINITY;
  /** Connections that were kept before this may be dead, too. */
  #doubtedAt = Number.NEGATIVE_INFINITY;

  constructor(context: Context, row: NodeRow, pool: PoolRow) {
    this.context = context;
    this.row = row;
    this.#limits = pool.upstream;
    this.#pool = pool;
    this.#counters = context.counters;
    this.#base = counterRow.node(row.slot);
    this.#histogram = counterRow.nodeHistogram(row.slot);
  }

  get limits(): PoolRow['upstream'] {
    return this.#limits;
  }

  update(row: NodeRow, pool: PoolRow): void {
    this.row = row;
    this.#limits = pool.upstream;
    if (!sameData(pool.tls, this.#pool.tls)) {
      this.#tls = null;
      this.#session = undefined;
      this.#trust = {};
      this.#closeIdle();
    }
    this.#pool = pool;
  }

  get trust(): object {
    return this.#trust;
  }

  /** Options of a TLS connection; null for a plain one. */
  tlsOptions(): ConnectionOptions | null {
    const { address } = this.row;
    if (address.kind === 'unix' || address.tls !== true) return null;
    this.#tls ??= upstreamTlsOptions(this.#pool.tls, address.host);
    return this.#session === undefined ? this.#tls : { ...this.#tls, session: this.#session };
  }

  /** `trust`: by which its node was verified. A resumed session is not looked at again, and so is of no use under others. */
  keepSession(session: Buffer, trust: object): void {
    if (trust === this.#trust) this.#session = session;
  }

  count(counter: NodeCounter, by = 1): void {
    this.#counters[this.#base + columns[counter]]! += by;
  }

  countStatus(status: number): void {
    this.#counters[this.#base + columns.status1xx + Math.min(Math.floor(status / 100), 5) - 1]!++;
  }

  /** A request has left the node; its time there, from the pick on, ms. */
  countTotal(ms: number): void {
    this.#counters[this.#base + columns.totalMs]! += ms;
    this.#counters[this.#histogram + bucketOf(ms * 1000)]!++;
  }

  /** A connection broke under a request. False if another did just before: then both have one cause. */
  breaksAnew(now: number): boolean {
    if (now - this.#brokeAt < sameBreakMs) return false;
    this.#brokeAt = now;
    return true;
  }

  /**
   * A connection broke, or none could be opened. Until a kept one has served again it may be dead, too: a crash ends all,
   * and they are seen one after the other. A request that can't be repeated finds out by a new one, which may be refused
   * before a byte of it was sent.
   */
  doubt(now: number): void {
    this.#doubtedAt = now;
  }

  /** The node closed a kept connection. One that had served just before says what a break does. */
  closedIdle(upstream: Upstream, now: number): void {
    if (now - upstream.idleSince < freshMs) this.doubt(now);
  }

  /** A kept connection, or null. `mayRepeat`: the request can be sent again if the connection turns out dead. */
  take(mayRepeat: boolean, now: number): Upstream | null {
    const upstream = this.#idle.at(-1);
    if (upstream === undefined) return null;
    if (!mayRepeat && (now - upstream.idleSince >= freshMs || upstream.idleSince <= this.#doubtedAt)) return null;
    this.#idle.pop();
    return upstream;
  }

  /** A connection that others are on, or may come onto; null: the request needs one of its own. */
  share(now: number): Pipeline | null {
    const { pipelining } = this.#limits;
    if (pipelining === 1 || now < this.#aloneUntil) return null;
    for (const one of this.#pipelines) {
      if (one.upstream.trust === this.#trust && one.hasRoom(pipelining)) return one;
    }
    const upstream = this.take(true, now) ?? this.connect();
    upstream.pipeline ??= new Pipeline(upstream);
    upstream.pipeline.open();
    this.#pipelines.push(upstream.pipeline);
    return upstream.pipeline;
  }

  endPipeline(pipeline: Pipeline): void {
    this.#pipelines.splice(this.#pipelines.indexOf(pipeline), 1);
  }

  /** Each request gets a connection of its own for so long. */
  pausePipelining(ms: number, why: string): void {
    const now = this.context.now();
    const anew = now >= this.#aloneUntil;
    this.#aloneUntil = Math.max(this.#aloneUntil, now + ms);
    if (!anew) return;
    this.count('pipeliningPauses');
    const { pool, id } = this.row;
    this.context.options.onEvent({
      level: ms >= 10_000 ? 'warn' : 'debug',
      event: 'pipelining-paused',
      message: `requests to node ${id} of pool ${pool} get connections of their own for ${ms / 1000} s: ${why}`,
      fields: { pool, node: id, ms, why },
    });
  }

  connect(): Upstream {
    return new Upstream(this);
  }

  /** Takes back a connection whose last answer ended cleanly. False: it is to be closed. */
  keep(upstream: Upstream): boolean {
    if (this.#retired || this.context.draining || upstream.trust !== this.#trust) return false;
    if (this.#idle.length >= this.#limits.maxIdle) return false;
    this.#idle.push(upstream);
    return true;
  }

  forget(upstream: Upstream): void {
    const at = this.#idle.lastIndexOf(upstream);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** The node is gone from the config: idle connections end now, busy ones after their answer. */
  retire(): void {
    this.#retired = true;
    this.#closeIdle();
  }

  #closeIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const upstream of idle) upstream.destroy();
  }
}
