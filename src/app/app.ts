/**
 * A running evenkeel, as lifecycle, CLI and tests hold it: it can be asked, reloaded, drained, closed.
 *
 *   starting -> serving -> draining (readyz 503, wait, stop accepting, finish, deadline) -> closed
 *
 * A reload reads the config anew and brings everything to it, or changes nothing and says why: in the log, in the
 * result, in stats and metrics.
 */
import { hostname } from 'node:os';
import type { AdminActions, AuditEntry, ReadinessFacts, ReloadResult, WishChange } from '../admin/actions.ts';
import { type Millis, nodeId } from '../base/ids.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { AdminConfig, Config, ListenAddress, Problem } from '../config/model.ts';
import { problemLine } from '../config/render-problems.ts';
import { createObserver, type Observer } from '../observe/io/observer.ts';
import type { ObservedConfig } from '../observe/source.ts';
import type { Stats } from '../observe/stats-model.ts';
import { AdminDoor } from './admin-door.ts';
import { needsRestart } from './changes.ts';
import { type ClusterEnd, ClusterMember } from './cluster-member.ts';
import type { Applied, Control, Loaded } from './control.ts';
import { primaryKept } from './failover-reload.ts';
import { FailoverRoom } from './failover-room.ts';
import type { Log } from './log.ts';
import { observe } from './observed.ts';
import { OneAtATime } from './reload.ts';
import { SoloMember } from './solo-member.ts';
import type { ThreadPool } from './threads.ts';
import { tokenKeyOf } from './token-key.ts';

export type Load = () => Promise<Result<Loaded, readonly Problem[]>>;

export interface AppOptions {
  readonly control: Control;
  readonly load: Load;
  /** null: the config did not come from a file. */
  readonly file: string | null;
  readonly log: Log;
  /** evenkeel's own. */
  readonly version: string;
}

export interface OpenAddress {
  readonly name: string;
  /** With the real port where the config has 0. */
  readonly address: ListenAddress;
}

/** In the log, of one reload. */
const changesTold = 20;

export class App {
  readonly #control: Control;
  readonly #load: Load;
  readonly #file: string | null;
  readonly #log: Log;
  readonly #version: string;
  readonly #observer: Observer;
  readonly #door: AdminDoor;
  readonly #reloads = new OneAtATime(() => this.#reload());
  readonly #stats = {
    all: new OneAtATime(() => this.#observer.statsBytes('all')),
    pools: new OneAtATime(() => this.#observer.statsBytes('pools')),
  };
  readonly #ended = new AbortController();
  #onReload: () => void = () => {};
  #member: ClusterMember | null = null;
  #solo: SoloMember | null = null;
  #failover: FailoverRoom | null = null;
  #tokenKey: Uint8Array | null = null;
  /** That the admin API asks for: the one of the config in force, or of the one that is being brought in force. */
  #adminToken: string | null;
  #end: ClusterEnd | null = null;
  #onEnd: ((end: ClusterEnd) => void) | null = null;
  #starting: Promise<unknown> | null = null;
  #draining: Promise<void> | null = null;
  #history: Omit<ObservedConfig, 'version' | 'file'> = {
    loadedAt: Date.now(),
    reloads: { ok: 0, failed: 0 },
    lastReload: null,
  };

  constructor(options: AppOptions) {
    this.#control = options.control;
    this.#load = options.load;
    this.#file = options.file;
    this.#log = options.log;
    this.#version = options.version;
    this.#adminToken = options.control.loaded.config.admin.token;
    this.#observer = createObserver({
      scoreboard: this.#control.scoreboard,
      observe: () =>
        observe(this.#control, {
          version: this.#version,
          config: { ...this.#history, file: this.#file },
          member: this.#member,
          failover: this.#failover,
        }),
    });
    this.#door = new AdminDoor(this.#actions(), this.#log);
  }

  get log(): Log {
    return this.#log;
  }

  /** Where the config is read from, and the text in force; null if it did not come from a file. */
  get source(): { readonly file: string; readonly text: string } | null {
    const { text } = this.#control.loaded;
    return this.#file === null || text === undefined ? null : { file: this.#file, text };
  }

  /** The files that the config names, certificates and keys, as they were read, by absolute name. */
  get files(): Loaded['files'] {
    return this.#control.loaded.files;
  }

  /** Called after each reload that was taken. */
  set onReload(tell: () => void) {
    this.#onReload = tell;
  }

  /** The config in force. */
  get config(): Config {
    return this.#control.loaded.config;
  }

  get threads(): Pick<ThreadPool, 'states' | 'terminate'> {
    return this.#control.threads;
  }

  listeners(): OpenAddress[] {
    return [...this.#control.listeners()].map(([name, address]) => ({ name, address }));
  }

  /** Where the admin API listens. */
  get adminAddress(): ListenAddress | null {
    return this.#door.address;
  }

  stats(): Stats {
    return this.#observer.stats();
  }

  get metrics(): Observer['metrics'] {
    return this.#observer.metrics;
  }

  /** null: the config has no `cluster`, or start() has not come so far. */
  get cluster(): Pick<ClusterMember, 'coordinator' | 'host'> | null {
    return this.#member;
  }

  /** The cluster wants this process to end: drain it, and exit with the code. Told once, also if it was before. */
  onEnd(sink: (end: ClusterEnd) => void): () => void {
    this.#onEnd = sink;
    if (this.#end !== null) sink(this.#end);
    return () => {
      this.#onEnd = null;
    };
  }

  get draining(): boolean {
    return this.#draining !== null;
  }

  /** Opens the admin API, then the cluster's address, then everything else; waits for no quorum. After an error, close(). */
  start(): Promise<Result<null, readonly string[]>> {
    const started = this.#start();
    this.#starting = started;
    return started;
  }

  async #start(): Promise<Result<null, readonly string[]>> {
    const door = await this.#door.open(this.config.admin.address);
    if (!door.ok) return err([door.error]);
    const joined = await this.#join(this.config);
    await this.#useTokenKey(this.config);
    return joined.ok ? this.#control.start() : err([joined.error]);
  }

  /** Reads the config again. Calls that come while one runs are answered by one more. Never rejects for a bad config. */
  reload(): Promise<ReloadResult> {
    return this.#reloads.run();
  }

  /** Takes traffic off this process: resolves when the last client is gone or the deadline has passed, all closed. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    this.#ended.abort();
    this.#observer.close();
    this.#failover?.close();
    await Promise.all([this.#door.close(), this.#control.close(), this.#member?.close(), this.#solo?.close()]);
  }

  /** As a member of a cluster, or, where pools with failover ask for it, of a cluster of one. */
  async #join({ cluster, dataDir, pools }: Config): Promise<Result<null, string>> {
    if (this.#failover !== null) return ok(null);
    const about = {
      dataDir,
      version: this.#version,
      log: this.#log,
      links: FailoverRoom.links(() => this.#failover),
      onEnd: this.#endSoon,
    };
    if (cluster !== null) {
      const opened = await ClusterMember.open({ ...about, cluster, admin: this.#door.address });
      if (!opened.ok) return opened;
      this.#member = opened.value;
      this.#useFailover(opened.value);
    } else if (pools.some(({ failover }) => failover !== null)) {
      const opened = await SoloMember.open(about);
      if (!opened.ok) return opened;
      this.#solo = opened.value;
      this.#useFailover(opened.value);
    }
    return ok(null);
  }

  readonly #endSoon = (end: ClusterEnd): void => {
    // A member that must not go on knows nothing of epochs any more, and no word of it could end its leave to write.
    if (end.code === 1) this.#failover?.close();
    else this.#failover?.failover.void(end.why);
    this.#end = end;
    this.#onEnd?.(end);
  };

  #useFailover({ host, coordinator }: Pick<ClusterMember, 'host' | 'coordinator'>): void {
    this.#failover = new FailoverRoom({ host, coordinator, control: this.#control, log: this.#log });
  }

  /** Where a pool reads after writes. A key that changes makes tokens of before worth nothing: their reads go to the primary. */
  async #useTokenKey(config: Config): Promise<void> {
    if (this.#failover === null || config.pools.every(({ failover }) => failover === null)) return;
    try {
      const key = await tokenKeyOf(config);
      if (this.#tokenKey !== null && Buffer.compare(key, this.#tokenKey) === 0) return;
      this.#tokenKey = key;
      this.#control.threads.useTokenKey(key);
    } catch (error) {
      const { message } = error as Error;
      this.#log.warn(`the key of read tokens can't be kept: ${message}; those of this run will not be known later`);
    }
  }

  /** Opens log files by their names again. */
  reopenLogs(): void {
    this.#control.threads.reopenLogs();
    this.#log.info('access log opened again', { event: 'logs-reopened' });
  }

  async #drain(): Promise<void> {
    const { delay, deadline } = this.config.shutdown;
    this.#log.info(`draining: not ready from now on, listeners close in ${delay} ms`, { event: 'draining' });
    await this.#pause(delay);
    const late = this.#pause(deadline).then(() => false);
    const drained = await Promise.race([this.#control.threads.drain(), late]);
    if (this.#ended.signal.aborted) return; // close() came before
    if (drained) this.#log.info('drained: no client is left', { event: 'drained' });
    else {
      const open = this.#control.threads.connections();
      this.#log.warn(`${open} client connections were cut: still open ${deadline} ms after the listeners closed`);
    }
    await this.#member?.goodbye();
    await this.close();
  }

  /** Resolves early when the app is closed. */
  #pause(ms: Millis): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }

  async #reload(): Promise<ReloadResult> {
    // The admin API is open before all else, and both would open listeners.
    await this.#starting;
    if (this.#draining !== null || this.#ended.signal.aborted) return this.#refused(['the process is draining']);
    const loaded = await this.#load();
    // A large file takes seconds to read, in which the process may have begun to end.
    if (this.#draining !== null || this.#ended.signal.aborted) return this.#refused(['the process is draining']);
    if (!loaded.ok) return this.#failed(loaded.error);
    const restart = needsRestart(this.config, loaded.value.config);
    if (restart.length > 0) return this.#refused(restart);
    const lost = this.#lostBy(loaded.value.config);
    if (lost.length > 0) return this.#refused(lost);
    const { admin } = this.config;
    const applied = await this.#apply(loaded.value);
    if (!applied.ok) {
      await this.#moveDoor(admin);
      return this.#refused(applied.error);
    }
    await this.#useTokenKey(loaded.value.config);
    const { cluster } = loaded.value.config;
    if (cluster !== null) this.#member?.adopt({ cluster, admin: this.#door.address });
    return this.#taken(applied.value, loaded.value.warnings);
  }

  async #apply(next: Loaded): Promise<Applied> {
    const door = await this.#moveDoor(next.config.admin);
    if (!door.ok) return err([door.error]);
    const joined = await this.#join(next.config);
    return joined.ok ? this.#control.apply(next, () => this.#lostBy(next.config)) : err([joined.error]);
  }

  /** A primary may change while a reload is being prepared: so this is asked again when it comes into force. */
  #lostBy(next: Config): string[] {
    return primaryKept(this.#failover?.failover ?? null, this.config, next);
  }

  /** An address on the network opens under its token alone; without one, it is the old address that closes first. */
  async #moveDoor({ address, token }: AdminConfig): Promise<Result<null, string>> {
    if (token !== null) this.#adminToken = token;
    const door = await this.#door.open(address);
    if (door.ok) this.#adminToken = token;
    return door;
  }

  #taken(changes: readonly string[], warnings: readonly Problem[]): ReloadResult {
    const { version } = this.#control;
    const changed = changes.length > 0;
    const { reloads, loadedAt } = this.#history;
    const now = Date.now();
    this.#history = {
      loadedAt: changed ? now : loadedAt,
      reloads: { ...reloads, ok: reloads.ok + 1 },
      lastReload: { ok: true, at: now, problem: null },
    };
    for (const warning of warnings) this.#log.warn(problemLine(warning), { event: 'config-warning' });
    const more = changes.length > changesTold ? `; and ${changes.length - changesTold} more` : '';
    const what = changed ? `${changes.slice(0, changesTold).join('; ')}${more}` : 'nothing had changed';
    this.#log.info(`config reloaded: ${what}`, { event: 'reloaded', version });
    this.#onReload();
    return { ok: true, version, changed, warnings };
  }

  #refused(lines: readonly string[]): ReloadResult {
    const place = { file: this.#file ?? 'config', line: 0, column: 0, path: '', source: '', hint: null } as const;
    return this.#failed(lines.map((message) => ({ ...place, message, severity: 'error' })));
  }

  #failed(problems: readonly Problem[]): ReloadResult {
    const { reloads, loadedAt } = this.#history;
    const errors = problems.filter(({ severity }) => severity === 'error');
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
    const problem = `${errors[0] === undefined ? 'unknown problem' : problemLine(errors[0])}${more}`;
    this.#history = {
      loadedAt,
      reloads: { ...reloads, failed: reloads.failed + 1 },
      lastReload: { ok: false, at: Date.now(), problem },
    };
    const { version } = this.#control;
    this.#log.error('reload refused, the config in force stays', {
      event: 'reload-refused',
      version,
      problems: errors.map(problemLine),
    });
    return { ok: false, version, problems };
  }

  #actions(): AdminActions {
    const ha = (): AdminActions['ha'] =>
      this.#member?.actions ?? (this.config.cluster === null ? undefined : 'starting');
    const failover = (): AdminActions['failover'] => {
      const has = this.config.pools.some((pool) => pool.failover !== null);
      return has ? (this.#failover?.actions ?? 'starting') : undefined;
    };
    return {
      get ha() {
        return ha();
      },
      get failover() {
        return failover();
      },
      access: () => ({
        token: this.#adminToken,
        address: this.#door.address ?? this.config.admin.address,
        hosts: [hostname().toLowerCase()],
      }),
      stats: () => this.#observer.view(),
      statsBytes: (part) => this.#stats[part].run(),
      metrics: this.#observer.metrics,
      readiness: () => this.#readiness(),
      redactedConfig: () => this.#control.loaded.shown,
      setWish: (change) => this.#setWish(change),
      reload: () => this.reload(),
      audit: (entry) => this.#audit(entry),
    };
  }

  #readiness(): ReadinessFacts {
    return {
      configLoaded: true,
      listeners: this.config.listen.map(({ name }) => {
        const open = this.#control.isOpen(name);
        return { name, open, problem: open ? null : 'not open in every data thread' };
      }),
      firstHealthRound: this.#control.firstRoundDone,
      draining: this.draining,
      warnings: this.#member?.warnings() ?? [],
    };
  }

  async #setWish({ pool, node, wish }: WishChange): ReturnType<AdminActions['setWish']> {
    const away = wish === 'ready' ? null : await this.#failover?.switchAway(pool, node);
    if (away && !away.ok) return away;
    const result = this.#control.monitor.wish(pool, nodeId(node), wish);
    return result.ok ? result : err({ status: 409, title: 'Not so', detail: result.error });
  }

  #audit(entry: AuditEntry): void {
    const { action, target, value, result, reason, peer } = entry;
    const what = [action, target, value].filter((word) => word !== '').join(' ');
    const message = `admin: ${what} ${result}${reason === '' ? '' : `: ${reason}`}`;
    this.#log[result === 'done' ? 'info' : 'warn'](message, { event: 'admin-change', peer, tookMs: entry.tookMs });
  }
}
