/**
 * The whole state as bytes.
 *
 *   'EKRS' version (1, or 2 if it has pools)
 *   head       length; index, term, time; counters; limits
 *   sections   per table its number of records, then they: keys, leases, locks, registry, history, proposers, results,
 *              from version 2 on pools
 *   check      hash of the head (8 bytes), hash of the state (8 bytes)
 *
 * A capture copies references only, so it takes little time and what is applied afterwards does not touch it; turning it
 * into bytes, and bytes into a state, can be done in slices between other work. The log of changes stays behind: a state
 * that was restored answers older watches with "compacted".
 */
import type { Bytes } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { type Hash64, hashBytes } from './fingerprint.ts';
import { readEvent, writeEvent } from './history.ts';
import { readEntry, writeEntry } from './kv.ts';
import { readLease, writeLease } from './leases.ts';
import { readLock, writeLock } from './lock-record.ts';
import { defaultLimits, type ReplicaLimits } from './model.ts';
import { readPool, writePool } from './pool-codec.ts';
import { readProposer, readResultRecord, writeProposer, writeResultRecord } from './proposers.ts';
import { readRegistered, writeRegistered } from './registry.ts';
import { Replica } from './replica.ts';

const magic = new Uint8Array([0x45, 0x4b, 0x52, 0x53]);
/** The newest that is known here. A state that an older release can hold is written so that it can read it. */
export const snapshotVersion = 2;
const allLimits = Object.keys(defaultLimits).sort() as readonly (keyof ReplicaLimits)[];
const laterLimits: readonly (keyof ReplicaLimits)[] = ['pools', 'poolRecordBytes'];
const limitsOf = (version: number): typeof allLimits =>
  version === 1 ? allLimits.filter((name) => !laterLimits.includes(name)) : allLimits;

function versionOf({ pools, limits }: Replica): number {
  return pools.table.size === 0 && laterLimits.every((name) => limits[name] === defaultLimits[name]) ? 1 : 2;
}
/** Records read between two pauses of a restore. */
const recordsPerStep = 500;

export type SnapshotFault =
  | 'not a snapshot'
  | 'of a version that is not known here'
  | 'malformed'
  | 'damaged: its records do not have the hash that it names';

/** A table that a snapshot carries. `put` is typed away: each section reads only what it wrote. */
interface Section {
  readonly capture: () => readonly unknown[];
  readonly write: (to: ByteWriter, record: unknown) => void;
  readonly read: (from: ByteReader) => void;
  readonly size: () => number;
}

function section<V>(options: {
  readonly table: { readonly size: number; capture(): V[] };
  readonly write: (to: ByteWriter, record: V) => void;
  readonly read: (from: ByteReader) => V;
  readonly put: (record: V) => void;
}): Section {
  const { table, write, read, put } = options;
  return {
    capture: () => table.capture(),
    write: (to, record) => write(to, record as V),
    read: (from) => {
      const record = read(from);
      if (!from.failed) put(record);
    },
    size: () => table.size,
  };
}

function sectionsOf(replica: Replica, version: number): readonly Section[] {
  const { kv, leases, locks, registry, history, proposers, pools } = replica;
  const [members, results] = proposers.tables;
  const sections = [
    section({ table: kv.table, write: writeEntry, read: readEntry, put: (record) => kv.put(record) }),
    section({ table: leases.table, write: writeLease, read: readLease, put: (record) => leases.put(record) }),
    section({ table: locks.table, write: writeLock, read: readLock, put: (record) => locks.put(record) }),
    section({
      table: registry.table,
      write: writeRegistered,
      read: readRegistered,
      put: (record) => registry.put(record),
    }),
    section({ table: history.table, write: writeEvent, read: readEvent, put: (record) => history.put(record) }),
    section({
      table: members,
      write: writeProposer,
      read: readProposer,
      put: (record) => proposers.putProposer(record),
    }),
    section({
      table: results,
      write: writeResultRecord,
      read: readResultRecord,
      put: (record) => proposers.putResult(record),
    }),
  ];
  if (version === 1) return sections;
  return [
    ...sections,
    section({ table: pools.table, write: writePool, read: readPool, put: (record) => pools.put(record) }),
  ];
}

/** The state as it was when this was made. Turned into bytes once, at leisure. */
export class Capture {
  readonly index: number;
  readonly #version: number;
  readonly #head: Uint8Array;
  readonly #hash: Hash64;
  readonly #sections: readonly { readonly records: readonly unknown[]; readonly write: Section['write'] }[];

  constructor(replica: Replica) {
    this.index = replica.index;
    this.#version = versionOf(replica);
    this.#head = writeHead(replica, this.#version);
    this.#hash = replica.hash();
    this.#sections = sectionsOf(replica, this.#version).map(({ capture, write }) => ({ records: capture(), write }));
  }

  /** The bytes in order, each slice about `sliceBytes` long (one record more at most). */
  *slices(sliceBytes: Bytes): Generator<Uint8Array, void> {
    const to = new ByteWriter().raw(magic).byte(this.#version).bytes(this.#head);
    for (const { records, write } of this.#sections) {
      to.number(records.length);
      for (const record of records) {
        write(to, record);
        if (to.length >= sliceBytes) yield to.take();
      }
    }
    writeHash(to, hashBytes(this.#head));
    writeHash(to, this.#hash);
    yield to.take();
  }
}

/** All at once. */
export function snapshot(replica: Replica): Uint8Array {
  const to = new ByteWriter();
  for (const slice of new Capture(replica).slices(1024 * 1024)) to.raw(slice);
  return to.take();
}

/** All at once. The state, or why these bytes are none; nothing half. */
export function restore(bytes: Uint8Array): Result<Replica, SnapshotFault> {
  const steps = restoreSteps(bytes);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** As `restore`, with a pause after each 500 records. */
export function* restoreSteps(bytes: Uint8Array): Generator<void, Result<Replica, SnapshotFault>> {
  const from = new ByteReader(bytes);
  for (const byte of magic) if (from.byte() !== byte) return err('not a snapshot');
  const version = from.byte();
  if (from.failed || version === 0) return err('malformed');
  if (version > snapshotVersion) return err('of a version that is not known here');
  const head = from.bytes();
  const replica = readHead(head, version);
  if (from.failed || replica === null) return err('malformed');
  for (const { read, size } of sectionsOf(replica, version)) {
    const count = from.number();
    for (let i = 0; i < count && !from.failed; i++) {
      read(from);
      if (i % recordsPerStep === recordsPerStep - 1) yield;
    }
    if (from.failed || size() !== count) return err('malformed');
  }
  const sound = isNext(from, hashBytes(head)) && isNext(from, replica.hash());
  if (!from.done() || version !== versionOf(replica)) return err('malformed');
  return sound ? ok(replica) : err('damaged: its records do not have the hash that it names');
}

function writeHead(replica: Replica, version: number): Uint8Array {
  const to = new ByteWriter();
  to.number(replica.index).number(replica.term).number(replica.now);
  to.number(replica.kv.revision.value).number(replica.tokens.value);
  to.list(limitsOf(version), (name) => to.number(replica.limits[name]));
  return to.take();
}

function readHead(head: Uint8Array, version: number): Replica | null {
  const from = new ByteReader(head);
  const position = { index: from.number(), term: from.number(), now: from.number() };
  const [revision, token] = [from.number(), from.number()];
  const values = from.list(() => from.number());
  const names = limitsOf(version);
  if (!from.done() || values.length !== names.length) return null;
  const limits: ReplicaLimits = {
    ...defaultLimits,
    ...Object.fromEntries(names.map((name, at) => [name, values[at]!])),
  };
  const replica = new Replica(limits, position);
  replica.tokens.raise(token);
  replica.kv.raise(revision);
  return replica;
}

function writeHash(to: ByteWriter, hash: Hash64): void {
  for (const word of hash) for (const shift of [24, 16, 8, 0]) to.byte((word >>> shift) & 0xff);
}

function isNext(from: ByteReader, hash: Hash64): boolean {
  const expected = new ByteWriter();
  writeHash(expected, hash);
  let same = true;
  for (const byte of expected.take()) same = from.byte() === byte && same;
  return same;
}
