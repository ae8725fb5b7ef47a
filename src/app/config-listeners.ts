/**
 * The listeners of the config in force: which addresses must be free, which are opened, closed or given another
 * certificate when the config changes. One that did not change is never touched.
 */
import { isIP } from 'node:net';
import { sameData } from '../base/equal.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { TlsRead } from '../config/io/files.ts';
import type { ListenAddress, ListenConfig } from '../config/model.ts';
import type { ListenerSpec } from '../routing/snapshot.ts';
import type { Log } from './log.ts';
import { type AddressProblem, addressProblem, addressText, checkFree } from './ports.ts';
import type { ThreadPool } from './threads.ts';

/** What the config wants. */
export interface WantedListeners {
  readonly listen: readonly ListenConfig[];
  /** By listener name. */
  readonly tls: TlsRead['tls'];
}

export interface OpenListener {
  readonly spec: ListenerSpec;
  /** Port 0 of the config made real. */
  readonly address: ListenAddress;
}

export interface ConfigListenersOptions {
  readonly threads: ThreadPool;
  readonly log: Log;
  /** Whether several sockets may share a port. */
  readonly reusePort: boolean;
  /** Row of a listener in the scoreboard. */
  readonly slotOf: (name: string) => number;
}

/** Listening sockets per address and thread: libuv accepts one connection per socket and turn. */
const socketsPerListener = 8;

export class ConfigListeners {
  readonly #options: ConfigListenersOptions;
  readonly #listeners = new Map<string, OpenListener>();

  constructor(options: ConfigListenersOptions) {
    this.#options = options;
  }

  /** Real addresses by name. */
  addresses(): ReadonlyMap<string, ListenAddress> {
    return new Map([...this.#listeners].map(([name, { address }]) => [name, address]));
  }

  isOpen(name: string): boolean {
    const listener = this.#listeners.get(name);
    return listener !== undefined && this.#options.threads.isOpen(listener.spec.slot);
  }

  /** Those that are not open yet, with their addresses made real; or what is wrong with any of them. */
  async check(wanted: WantedListeners): Promise<Result<readonly OpenListener[], readonly string[]>> {
    const found: OpenListener[] = [];
    const problems: string[] = [];
    for (const listen of wanted.listen) {
      if (this.#listeners.has(listen.name)) continue;
      const free = await this.#checkFree(listen.address);
      if (!free.ok) problems.push(free.error.message);
      else found.push({ spec: this.#spec(listen, free.value, wanted), address: free.value });
    }
    return problems.length > 0 ? err(problems) : ok(found);
  }

  /** The first ones: all open, or none and the reason. */
  async open(listeners: readonly OpenListener[]): Promise<Result<null, readonly string[]>> {
    return this.#open(listeners, false);
  }

  /** Opens what is new, closes what is gone, renews certificates. What fails here is in the log, and tried again. */
  async change(added: readonly OpenListener[], wanted: WantedListeners): Promise<void> {
    const { threads, log } = this.#options;
    const opened = await this.#open(added, true);
    if (!opened.ok) for (const line of opened.error) log.error(`${line}; tried again each second`);
    const names = new Set(wanted.listen.map(({ name }) => name));
    const gone = [...this.#listeners.values()].filter(({ spec }) => !names.has(spec.name));
    for (const { spec } of gone) this.#listeners.delete(spec.name);
    if (gone.length > 0) await threads.unlisten(gone.map(({ spec }) => spec.slot));
    await this.#renewCertificates(wanted);
  }

  /** Moving from 127.0.0.1:80 to 0.0.0.0:80: the port is not free, but the one who has it is this process. */
  async #checkFree(address: ListenAddress): Promise<Result<ListenAddress, AddressProblem>> {
    const free = await checkFree(address);
    const isOwn = !free.ok && free.error.code === 'EADDRINUSE' && this.#overlapsOwn(address);
    return isOwn ? ok(address) : free;
  }

  #overlapsOwn(wanted: ListenAddress): boolean {
    if (wanted.kind !== 'tcp' || !this.#options.reusePort) return false;
    return [...this.#listeners.values()].some(
      ({ address }) => address.kind === 'tcp' && address.port === wanted.port && !areApart(address.host, wanted.host),
    );
  }

  #spec(listen: ListenConfig, address: ListenAddress, { tls }: WantedListeners): ListenerSpec {
    const shared = this.#options.reusePort && address.kind === 'tcp';
    return {
      slot: this.#options.slotOf(listen.name),
      name: listen.name,
      address,
      tls: tls.get(listen.name) ?? null,
      sockets: shared ? socketsPerListener : 1,
      reusePort: shared,
    };
  }

  async #open(listeners: readonly OpenListener[], keepTrying: boolean): Promise<Result<null, readonly string[]>> {
    if (listeners.length === 0) return ok(null);
    for (const listener of listeners) this.#listeners.set(listener.spec.name, listener);
    const specs = listeners.map(({ spec }) => spec);
    const opened = await this.#options.threads.listen(specs, { keepTrying });
    if (opened.ok) return ok(null);
    const failed = listeners.find(({ spec }) => spec.slot === opened.error.slot);
    const line = failed === undefined ? opened.error.message : addressProblem(failed.address, opened.error).message;
    return err([line]);
  }

  async #renewCertificates(wanted: WantedListeners): Promise<void> {
    const { threads, log } = this.#options;
    for (const [name, { spec, address }] of this.#listeners) {
      const tls = wanted.tls.get(name) ?? null;
      if (sameData(tls, spec.tls)) continue;
      const renewed = { spec: { ...spec, tls }, address };
      this.#listeners.set(name, renewed);
      const result = await threads.renew(renewed.spec);
      if (!result.ok) log.error(`${addressText(address)} keeps its old certificate: ${result.error.message}`);
    }
  }
}

/** Two addresses of which neither means the other, too, as a name or 0.0.0.0 may. */
const areApart = (a: string, b: string): boolean =>
  [a, b].every((host) => isIP(host) !== 0 && host !== '0.0.0.0' && host !== '::') && a !== b;
