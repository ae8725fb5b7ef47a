/**
 * Keys and values. Every change takes the next revision; a write may ask that a condition hold, and is answered with the
 * key's own revision if it does not. Deleting what is absent changes nothing and takes no revision.
 */
import type { Bytes, Millis } from '../../base/ids.ts';
import { type ByteReader, type ByteWriter, textBytes } from './bytes.ts';
import { ChangeLog, type Past, type Since } from './change-log.ts';
import type { Command, CommandResult } from './command.ts';
import { Counter, type Moment } from './events.ts';
import { sameBytes } from './fingerprint.ts';
import type { Condition, KvEntry, LeaseId, ReplicaLimits, Revision } from './model.ts';
import { SortedKeys } from './sorted-keys.ts';
import { Table } from './table.ts';

export function writeEntry(to: ByteWriter, entry: KvEntry): void {
  to.text(entry.key).bytes(entry.value).number(entry.created).number(entry.revision);
  to.option(entry.lease, (lease) => to.number(lease));
}

export const readEntry = (from: ByteReader): KvEntry => ({
  key: from.text(),
  value: from.bytes(),
  created: from.number(),
  revision: from.number(),
  lease: from.option(() => from.number()),
});

/** A page of keys. `more`: ask again with `after` the last one. */
export interface Listing {
  readonly entries: readonly KvEntry[];
  readonly more: boolean;
}

export class Kv {
  readonly revision = new Counter();
  readonly #limits: ReplicaLimits;
  readonly #entries = new Table<string, KvEntry>({ seed: 1, write: writeEntry });
  readonly #keys = new SortedKeys();
  readonly #attached = new Map<LeaseId, Set<string>>();
  readonly #log: ChangeLog;
  #bytes: Bytes = 0;

  constructor(limits: ReplicaLimits) {
    this.#limits = limits;
    this.#log = new ChangeLog({ changes: limits.changes, changeBytes: limits.changeBytes, floor: 0 });
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): Bytes {
    return this.#bytes;
  }

  get table(): Table<string, KvEntry> {
    return this.#entries;
  }

  /** Changes up to and with this revision can't be read any more. */
  get floor(): Revision {
    return this.#log.floor;
  }

  /** The counter goes on above `to`; a log that knows of nothing begins there. */
  raise(to: Revision): void {
    this.revision.raise(to);
    this.#log.begin(this.revision.value);
  }

  get(key: string): KvEntry | null {
    return this.#entries.get(key) ?? null;
  }

  getAt(key: string, revision: Revision): Past {
    return this.#log.at(key, revision, this.get(key));
  }

  list(options: { readonly prefix: string; readonly after: string | null; readonly max: number }): Listing {
    const keys = this.#keys.list({ ...options, max: options.max + 1 });
    const entries = keys.slice(0, options.max).map((key) => this.#entries.get(key)!);
    return { entries, more: keys.length > options.max };
  }

  since(revision: Revision, prefix: string): Since {
    return this.#log.since(revision, prefix, this.revision.value);
  }

  /** The lease, if any, must exist. */
  set(command: Extract<Command, { readonly kind: 'set' }>, moment: Moment): CommandResult {
    const { key, value, lease, when } = command;
    const before = this.#entries.get(key);
    const refused = this.#tooMuch(key, value, before);
    if (refused !== null) return refused;
    if (!holds(when, before)) return { kind: 'conflict', revision: before?.revision ?? null };
    const revision = this.revision.next();
    const entry: KvEntry = { key, value, created: before?.created ?? revision, revision, lease };
    this.put(entry);
    this.#tell(revision, { key, entry, previous: before ?? null, at: moment.now }, moment);
    return { kind: 'written', revision };
  }

  delete(key: string, when: Condition, moment: Moment): CommandResult {
    const before = this.#entries.get(key);
    if (!holds(when, before)) return { kind: 'conflict', revision: before?.revision ?? null };
    if (before === undefined) return { kind: 'deleted', revision: null };
    return { kind: 'deleted', revision: this.#remove(before, moment) };
  }

  /** Deletes what is attached to a lease, in the order of the keys. */
  deleteAttached(lease: LeaseId, moment: Moment): void {
    const keys = [...(this.#attached.get(lease) ?? [])].sort();
    for (const key of keys) this.#remove(this.#entries.get(key)!, moment);
  }

  /** Puts an entry in its place as it is: also how a snapshot comes back. */
  put(entry: KvEntry): void {
    const before = this.#entries.get(entry.key);
    if (before === undefined) this.#keys.add(entry.key);
    else this.#detach(before);
    this.#entries.set(entry.key, entry);
    this.#bytes += costOf(entry.key, entry.value) - (before ? costOf(before.key, before.value) : 0);
    if (entry.lease === null) return;
    const keys = this.#attached.get(entry.lease) ?? new Set();
    this.#attached.set(entry.lease, keys.add(entry.key));
  }

  #remove(entry: KvEntry, moment: Moment): Revision {
    const revision = this.revision.next();
    this.#detach(entry);
    this.#entries.delete(entry.key);
    this.#keys.delete(entry.key);
    this.#bytes -= costOf(entry.key, entry.value);
    this.#tell(revision, { key: entry.key, entry: null, previous: entry, at: moment.now }, moment);
    return revision;
  }

  #detach(entry: KvEntry): void {
    if (entry.lease === null) return;
    const keys = this.#attached.get(entry.lease);
    keys?.delete(entry.key);
    if (keys?.size === 0) this.#attached.delete(entry.lease);
  }

  #tell(
    revision: Revision,
    change: { readonly key: string; readonly entry: KvEntry | null; readonly previous: KvEntry | null; at: Millis },
    moment: Moment,
  ): void {
    const whole = { revision, ...change };
    this.#log.add(whole);
    moment.events.push({ kind: 'changed', change: whole });
  }

  #tooMuch(key: string, value: Uint8Array, before: KvEntry | undefined): CommandResult | null {
    const { keyBytes, valueBytes, keys, totalBytes } = this.#limits;
    const keySize = textBytes(key);
    if (keySize > keyBytes) return { kind: 'too-large', what: 'key', size: keySize, max: keyBytes };
    const size = value.byteLength;
    if (size > valueBytes) return { kind: 'too-large', what: 'value', size, max: valueBytes };
    if (before === undefined && this.size >= keys) return { kind: 'full', what: 'keys', max: keys };
    const total = this.#bytes + costOf(key, value) - (before ? costOf(key, before.value) : 0);
    return total > totalBytes ? { kind: 'too-large', what: 'total', size: total, max: totalBytes } : null;
  }
}

/** What counts against the bound of all keys and values together. */
const costOf = (key: string, value: Uint8Array): Bytes => textBytes(key) + value.byteLength;

function holds(condition: Condition, entry: KvEntry | undefined): boolean {
  if (condition.kind === 'any') return true;
  if (condition.kind === 'absent') return entry === undefined;
  if (entry === undefined) return false;
  return condition.kind === 'revision'
    ? entry.revision === condition.revision
    : sameBytes(entry.value, condition.value);
}
