/** How the smaller things look in bytes: what commands, results and records of a snapshot have in common. */
import type { ByteReader, ByteWriter } from './bytes.ts';
import type { Condition, Fact, Wait } from './model.ts';

/** A writer and a reader per kind of a union; the kind itself is written as its place in a list. */
export type Codecs<U extends { readonly kind: string }> = {
  readonly [K in U['kind']]: {
    readonly write: (to: ByteWriter, value: Extract<U, { readonly kind: K }>) => void;
    readonly read: (from: ByteReader) => Omit<Extract<U, { readonly kind: K }>, 'kind'>;
  };
};

export function writeUnion<U extends { readonly kind: string }>(
  to: ByteWriter,
  value: U,
  how: { readonly kinds: readonly U['kind'][]; readonly codecs: Codecs<U> },
): void {
  to.byte(how.kinds.indexOf(value.kind));
  const codec = how.codecs[value.kind as U['kind']] as unknown as {
    readonly write: (to: ByteWriter, value: U) => void;
  };
  codec.write(to, value);
}

export function readUnion<U extends { readonly kind: string }>(
  from: ByteReader,
  how: { readonly kinds: readonly U['kind'][]; readonly codecs: Codecs<U> },
): U {
  const kind = from.oneOf(how.kinds);
  return { kind, ...how.codecs[kind].read(from) } as unknown as U;
}

export const conditionKinds: readonly Condition['kind'][] = ['any', 'absent', 'revision', 'value'];

export const conditionCodecs: Codecs<Condition> = {
  any: { write: () => {}, read: () => ({}) },
  absent: { write: () => {}, read: () => ({}) },
  revision: { write: (to, { revision }) => to.number(revision), read: (from) => ({ revision: from.number() }) },
  value: { write: (to, { value }) => to.bytes(value), read: (from) => ({ value: from.bytes() }) },
};

const conditions = { kinds: conditionKinds, codecs: conditionCodecs };
export const writeCondition = (to: ByteWriter, value: Condition): void => writeUnion(to, value, conditions);
export const readCondition = (from: ByteReader): Condition => readUnion(from, conditions);

export function writeFacts(to: ByteWriter, facts: readonly Fact[]): void {
  to.list(facts, ([name, value]) => to.text(name).text(value));
}

export function readFacts(from: ByteReader): readonly Fact[] {
  const facts = from.list((): Fact => [from.text(), from.text()]);
  for (let i = 1; i < facts.length; i++) if (facts[i - 1]![0] >= facts[i]![0]) return from.fail([]);
  return facts;
}

export function writeWaits(to: ByteWriter, waits: readonly Wait[]): void {
  to.list(waits, ({ owner, lock }) => to.text(owner).text(lock));
}

export const readWaits = (from: ByteReader): readonly Wait[] =>
  from.list(() => ({ owner: from.text(), lock: from.text() }));
