/**
 * What passes between the journal's two threads. All bytes of a persist travel in one buffer that is handed over: a
 * view into a larger buffer would be copied with all of it.
 */
import type { FactName, JournalFault, JournalStats, JournalWrite, Restored } from './journal-model.ts';

/** Where a piece of bytes stands in the buffer: offset and length. */
type Span = readonly [number, number];

export interface PackedWrite {
  readonly kind: 'write';
  readonly ticket: number;
  readonly truncateFrom: number | null;
  readonly compactTo: number | null;
  readonly hard: Span | null;
  readonly snapshot: { readonly index: number; readonly term: number; readonly at: Span } | null;
  readonly entries: readonly { readonly index: number; readonly term: number; readonly at: Span }[];
  readonly facts: readonly (readonly [FactName, Span | null])[];
  readonly boots: JournalWrite['boots'];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export type ToJournal = PackedWrite | { readonly kind: 'close' };

export type FromJournal =
  | { readonly kind: 'opened'; readonly restored: Restored }
  | { readonly kind: 'durable'; readonly tickets: readonly number[]; readonly stats: JournalStats }
  | { readonly kind: 'fault'; readonly code: JournalFault; readonly message: string }
  | { readonly kind: 'closed' };

export function packWrite(write: JournalWrite): PackedWrite {
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (bytes: Uint8Array): Span => {
    parts.push(bytes);
    length += bytes.byteLength;
    return [length - bytes.byteLength, bytes.byteLength];
  };
  const { snapshot } = write;
  const packed = {
    kind: 'write',
    ticket: write.ticket,
    truncateFrom: write.truncateFrom ?? null,
    compactTo: write.compactTo ?? null,
    hard: write.hard ? put(write.hard) : null,
    snapshot: snapshot ? { index: snapshot.index, term: snapshot.term, at: put(snapshot.bytes) } : null,
    entries: (write.entries ?? []).map(({ index, term, bytes }) => ({ index, term, at: put(bytes) })),
    facts: (Object.entries(write.facts ?? {}) as [FactName, Uint8Array | null][]).map(
      ([name, value]) => [name, value === null ? null : put(value)] as const,
    ),
    boots: write.boots ?? [],
  } as const;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return { ...packed, bytes };
}

export function unpackWrite(packed: PackedWrite): JournalWrite {
  const take = ([at, length]: Span): Uint8Array => packed.bytes.subarray(at, at + length);
  const { snapshot, hard } = packed;
  return {
    ticket: packed.ticket,
    truncateFrom: packed.truncateFrom,
    compactTo: packed.compactTo,
    hard: hard === null ? null : take(hard),
    snapshot: snapshot === null ? null : { index: snapshot.index, term: snapshot.term, bytes: take(snapshot.at) },
    entries: packed.entries.map(({ index, term, at }) => ({ index, term, bytes: take(at) })),
    facts: Object.fromEntries(packed.facts.map(([name, at]) => [name, at === null ? null : take(at)])),
    boots: packed.boots ?? [],
  };
}
