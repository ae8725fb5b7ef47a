/**
 * Which listeners should be open, and how each thread opens them.
 *
 *   TCP   every thread listens on the same port (SO_REUSEPORT), with as many sockets as the spec says
 *   unix  one thread alone, the first seat's: a path leads to one socket. It listens beside the path and the new socket
 *         is renamed over it, so that another thread can take its place without a moment in which nobody listens.
 */
import { renameSync, rmSync } from 'node:fs';
import type { ListenerSpec } from '../routing/snapshot.ts';
import type { Log } from './log.ts';

export class ListenerTable {
  readonly #specs = new Map<number, ListenerSpec>();
  /** Paths where a socket of ours stands. */
  readonly #placed = new Set<string>();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add(spec: ListenerSpec): void {
    this.#specs.set(spec.slot, spec);
  }

  remove(slot: number): void {
    const spec = this.#specs.get(slot);
    this.#specs.delete(slot);
    if (spec?.address.kind === 'unix' && this.#placed.delete(spec.address.path)) {
      rmSync(spec.address.path, { force: true });
    }
  }

  get(slot: number): ListenerSpec | undefined {
    return this.#specs.get(slot);
  }

  has(slot: number): boolean {
    return this.#specs.has(slot);
  }

  slots(): number[] {
    return [...this.#specs.keys()];
  }

  nameOf(slot: number): string {
    return this.#specs.get(slot)?.name ?? `listener ${slot}`;
  }

  /** What the thread of a seat should have open. */
  wanted(seat: number): readonly ListenerSpec[] {
    return [...this.#specs.values()].filter(({ address }) => address.kind === 'tcp' || seat === 0);
  }

  /** As the thread in a row is to open it. */
  specFor(spec: ListenerSpec, row: number): ListenerSpec {
    if (spec.address.kind === 'tcp') return spec;
    const path = besidePath(spec.address.path, row);
    rmSync(path, { force: true });
    return { ...spec, address: { kind: 'unix', path }, sockets: 1, reusePort: false };
  }

  /** A thread listens: a unix socket goes to its place. */
  opened(slot: number, row: number): void {
    const spec = this.#specs.get(slot);
    if (spec?.address.kind !== 'unix') return;
    const { path } = spec.address;
    try {
      renameSync(besidePath(path, row), path);
      this.#placed.add(path);
    } catch (error) {
      this.#log.error(`cannot put the socket in place at ${path}: ${(error as Error).message}`);
    }
  }

  /** Removes the files of unix sockets. */
  close(): void {
    for (const slot of this.slots()) this.remove(slot);
  }
}

const besidePath = (path: string, row: number): string => `${path}.${row}`;
