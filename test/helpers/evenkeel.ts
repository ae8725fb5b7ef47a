/**
 * A real evenkeel process in front of a test's nodes: config in a folder of its own, ports known beforehand, ready when
 * /readyz says so, ended by its pid.
 */
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { NodeStats, PoolStats, Stats } from '../../src/observe/stats-model.ts';
import { Child, type Exit, residentBytes } from './child.ts';
import type { ToComposed } from './composed.ts';
import { until, within } from './poll.ts';
import { freePort } from './ports.ts';
import type { Scope } from './scope.ts';

const composedFile = fileURLToPath(new URL('./composed.ts', import.meta.url));
export const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Top-level keys of a config file; `listen`, `admin`, `workers` and `log` have values for tests unless given. */
export type Settings = Readonly<Record<string, unknown>>;
/** Settings that name the listeners, by their addresses (`127.0.0.1:12345`). */
export type SettingsFor = Settings | ((addresses: readonly string[]) => Settings);

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Further ports to listen on. */
  readonly listeners?: number;
  /** Asked for by the admin API; helpers send it along. */
  readonly token?: string;
  /** Composed in a process of its own (composed.ts) in place of the CLI, so that a data thread can be killed. */
  readonly composed?: boolean;
  /** A program that becomes the process by exec: `prlimit --nofile=256`. */
  readonly through?: readonly string[];
}

interface Place {
  readonly ports: readonly number[];
  readonly adminPort: number;
  readonly folder: string;
  readonly token: string | null;
}

export class Evenkeel {
  readonly port: number;
  /** All ports that it listens on, the first one being `port`. */
  readonly ports: readonly number[];
  readonly adminPort: number;
  readonly folder: string;
  readonly file: string;
  readonly token: string | null;
  readonly child: Child;

  constructor(child: Child, place: Place) {
    this.child = child;
    this.ports = place.ports;
    this.port = place.ports[0]!;
    this.adminPort = place.adminPort;
    this.folder = place.folder;
    this.token = place.token;
    this.file = join(place.folder, 'config.yaml');
  }

  get exit(): Promise<Exit> {
    return this.child.exit;
  }

  /** A request to the admin listener. */
  admin(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    const headers = { ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }), ...init.headers };
    return fetch(`http://127.0.0.1:${this.adminPort}${path}`, { ...init, headers });
  }

  async stats(): Promise<Stats> {
    const response = await this.admin('/stats');
    if (response.status !== 200) throw new Error(`/stats answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as Stats;
  }

  async pool(name = 'app'): Promise<PoolStats> {
    const pool = (await this.stats()).pools.find((one) => one.name === name);
    if (pool === undefined) throw new Error(`/stats has no pool ${name}`);
    return pool;
  }

  async node(id: string, pool = 'app'): Promise<NodeStats> {
    const node = (await this.pool(pool)).nodes.find((one) => one.id === id);
    if (node === undefined) throw new Error(`/stats has no node ${id} in pool ${pool}`);
    return node;
  }

  /** Waits until so many nodes of a pool take traffic. */
  async fit(count: number, pool = 'app'): Promise<void> {
    await until(`${count} fit nodes in pool ${pool}`, async () => (await this.pool(pool)).fit === count);
  }

  /** Puts another config in the file's place, as editors do; does not wait for it to be taken. */
  async write(settings: SettingsFor): Promise<void> {
    await writeConfig(this.file, this.complete(settings));
  }

  /** Writes a config and waits until new requests are routed by it. */
  async reload(settings: SettingsFor): Promise<void> {
    const before = (await this.stats()).config.version;
    await this.write(settings);
    await until('the new config in force', async () => {
      const { config, threads } = await this.stats();
      return config.version > before && threads.every((thread) => thread.configVersion >= config.version);
    });
  }

  complete(settings: SettingsFor): Settings {
    return withDefaults(settings, this);
  }

  /** Lines of the access log (`log: { access: json }`) that have come so far. */
  accessLines(): Record<string, unknown>[] {
    return this.child.stdout.flatMap((line) => {
      const value = parsed(line);
      return value !== null && 'status' in value && 'method' in value ? [value] : [];
    });
  }

  /** Ends a data thread as a crash would (`composed` only). */
  async killThread(row: number): Promise<void> {
    const killed = new Promise<void>((resolve) => this.child.process.once('message', () => resolve()));
    this.child.process.send({ kill: row } satisfies ToComposed);
    await within(`end of data thread ${row}`, killed);
  }

  residentBytes(): number {
    return residentBytes(this.child.pid);
  }

  stop(): Promise<void> {
    return this.child.stop();
  }
}

export async function startEvenkeel(
  scope: Scope,
  settings: SettingsFor,
  options: StartOptions = {},
): Promise<Evenkeel> {
  const ek = await launchEvenkeel(scope, settings, options);
  const ended = ek.exit.then((exit) => {
    throw new Error(`evenkeel ended with ${exit.code ?? exit.signal} before it was ready:\n${ek.child.output()}`);
  });
  const ready = until('evenkeel ready', async () => (await ek.admin('/readyz')).status === 200, { withinMs: 60_000 });
  try {
    await Promise.race([ready, ended]);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${ek.child.output()}`);
  }
  ended.catch(() => {});
  return ek;
}

/** Starts the process and waits for nothing. */
export async function launchEvenkeel(
  scope: Scope,
  settings: SettingsFor,
  options: StartOptions = {},
): Promise<Evenkeel> {
  const folder = await scope.folder();
  const adminPort = await freePort();
  const ports: number[] = [];
  for (let i = 0; i < 1 + (options.listeners ?? 0); i++) ports.push(await freePort());
  const file = join(folder, 'config.yaml');
  const place = { ports, adminPort, folder, token: options.token ?? null };
  await writeConfig(file, withDefaults(settings, place));
  const { env, through } = options;
  const more = { ...(env ? { env } : {}), ...(through ? { through } : {}) };
  const child = options.composed
    ? new Child(composedFile, { args: [file], ipc: true, ...more })
    : new Child(mainFile, { args: ['run', '-c', file], ...more });
  return scope.own(new Evenkeel(child, place));
}

/** Runs another command of the CLI to its end. */
export async function runCli(
  ...args: readonly string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = new Child(mainFile, { args });
  try {
    const exit = await within(`evenkeel ${args.join(' ')}`, child.exit, 60_000);
    return { code: exit.code, stdout: child.stdout.join('\n'), stderr: child.stderr.join('\n') };
  } finally {
    await child.stop();
  }
}

function withDefaults(settings: SettingsFor, { ports, adminPort, token }: Omit<Place, 'folder'>): Settings {
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  return {
    listen: addresses.length === 1 ? addresses[0] : addresses.map((address) => ({ address })),
    workers: 1,
    admin: { address: `127.0.0.1:${adminPort}`, ...(token === null ? {} : { token }) },
    log: { level: 'info', access: 'off' },
    ...(typeof settings === 'function' ? settings(addresses) : settings),
  };
}

/** A whole file at once: written beside and moved over it. */
async function writeConfig(file: string, settings: Settings): Promise<void> {
  await writeFile(`${file}.new`, stringify(settings));
  await rename(`${file}.new`, file);
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
