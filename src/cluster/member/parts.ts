/** What words and disk records have in common: ids, checked texts, times, configurations, entries. */
import { type MemberId, memberId } from '../../base/ids.ts';
import type { Config, Entry } from '../raft/model.ts';
import type { ByteReader, ByteWriter } from '../replica/bytes.ts';

const idForm = /^[0-9a-f]{32}$/;

export const writeId = (to: ByteWriter, id: MemberId): ByteWriter => to.text(id);
export const id = (from: ByteReader): MemberId => memberId(text(from, (one) => idForm.test(one)));

export function text(from: ByteReader, isGood: (text: string) => boolean): string {
  const read = from.text();
  return isGood(read) ? read : from.fail(read);
}

/** A time or span as it is, also a fraction: 8 bytes, big endian. Finite. */
export function writeMillis(to: ByteWriter, value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  to.raw(bytes);
}

export function readMillis(from: ByteReader): number {
  const bytes = new Uint8Array(8);
  for (let i = 0; i < 8; i++) bytes[i] = from.byte();
  const value = new DataView(bytes.buffer).getFloat64(0);
  return Number.isFinite(value) && !Object.is(value, -0) ? value : from.fail(0);
}

export function writeConfig(to: ByteWriter, config: Config): void {
  to.list(config.voters, (one) => writeId(to, one));
  to.list(config.learners, (one) => writeId(to, one));
}

export const readConfig = (from: ByteReader): Config => ({
  voters: from.list(() => id(from)),
  learners: from.list(() => id(from)),
});

const bodies = ['noop', 'data', 'config'] as const;

/** An entry without its index and term. */
export function writeBody(to: ByteWriter, entry: Entry): void {
  to.byte(bodies.indexOf(entry.kind));
  if (entry.kind === 'data') to.bytes(entry.data);
  if (entry.kind === 'config') writeConfig(to, entry.config);
}

export function readBody(from: ByteReader, at: { readonly index: number; readonly term: number }): Entry {
  const kind = from.oneOf(bodies);
  if (kind === 'data') return { ...at, kind, data: from.bytes() };
  if (kind === 'config') return { ...at, kind, config: readConfig(from) };
  return { ...at, kind };
}
