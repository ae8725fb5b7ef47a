/**
 * Words between members as bytes: JSON with a version in front, since they are few and small and an operator may look at
 * them. Decoding is strict where it matters: what is not exactly a word is null. Nothing throws on a peer's bytes.
 */
import { epochReasons, hookKinds, poolStates } from './model.ts';
import type { ToldReport, Word } from './words.ts';

const version = 1;
export const wordBytesMax = 32 * 1024;
/** Reports in one word, with texts of at most `textMax`, stay below `wordBytesMax`. */
export const reportsPerWord = 12;
const textMax = 300;
const listMax = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export const encodeWord = (word: Word): Uint8Array => encoder.encode(JSON.stringify({ ...word, v: version }));

/** Texts that people wrote or systems said are cut to what a word may hold. */
export const cut = (text: string): string => (text.length > 160 ? `${text.slice(0, 159)}…` : text);

export function decodeWord(bytes: Uint8Array): Word | null {
  if (bytes.byteLength > wordBytesMax) return null;
  try {
    return wordOf(new Fields(JSON.parse(decoder.decode(bytes))));
  } catch (error) {
    if (error instanceof Malformed || error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}

class Malformed extends Error {}

function fail(): never {
  throw new Malformed();
}

/** The fields of one JSON object, each read as what it must be. */
class Fields {
  readonly #of: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fail();
    this.#of = value as Readonly<Record<string, unknown>>;
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#of, name) ? this.#of[name] : fail();
  }

  /** For fields that members of an earlier version don't tell. */
  has(name: string): boolean {
    return Object.hasOwn(this.#of, name);
  }

  text(name: string): string {
    return textOf(this.#get(name));
  }

  flag(name: string): boolean {
    const value = this.#get(name);
    return typeof value === 'boolean' ? value : fail();
  }

  /** Whole, not negative. */
  count(name: string): number {
    const value = this.#get(name);
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : fail();
  }

  /** Of a clock or a span: any finite number. */
  ms(name: string): number {
    const value = this.#get(name);
    return Number.isFinite(value) ? (value as number) : fail();
  }

  oneOf<const W extends string>(name: string, words: readonly W[]): W {
    const value = this.#get(name);
    return words.find((word) => word === value) ?? fail();
  }

  list<T>(name: string, read: (value: unknown) => T): readonly T[] {
    const value = this.#get(name);
    return Array.isArray(value) && value.length <= listMax ? value.map(read) : fail();
  }

  fields(name: string): Fields {
    return new Fields(this.#get(name));
  }

  maybe<T>(name: string, read: (name: string) => T): T | null {
    return this.#get(name) === null ? null : read(name);
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value.length <= textMax ? value : fail();
}

function pairOf(value: unknown): readonly [string, string] {
  return Array.isArray(value) && value.length === 2 ? [textOf(value[0]), textOf(value[1])] : fail();
}

function reportOf(value: unknown): ToldReport {
  const of = new Fields(value);
  const count = (name: string): number | null => of.maybe(name, (at) => of.count(at));
  const ms = (name: string): number | null => of.maybe(name, (at) => Math.max(0, of.ms(at)));
  const text = (name: string): string | null => of.maybe(name, (at) => of.text(at));
  return {
    pool: of.text('pool'),
    node: of.text('node'),
    url: of.text('url'),
    age: Math.max(0, of.ms('age')),
    up: of.maybe('up', (at) => of.flag(at)),
    failures: of.count('failures'),
    detail: of.text('detail'),
    role: text('role'),
    epoch: count('epoch'),
    cluster: text('cluster'),
    position: count('position'),
    lag: ms('lag'),
    primaryHeard: ms('primaryHeard'),
    wanted: of.flag('wanted'),
  };
}

const kinds = ['report', 'probe', 'held', 'drain', 'run', 'ran', 'state'] as const;

function wordOf(of: Fields): Word {
  if (of.count('v') !== version) fail();
  const kind = of.oneOf('kind', kinds);
  switch (kind) {
    case 'report':
      return {
        kind,
        clock: of.ms('clock'),
        policies: of.list('policies', pairOf),
        reports: of.list('reports', reportOf),
      };
    case 'probe':
      return { kind, pool: of.text('pool'), node: of.text('node') };
    case 'drain':
      return { kind, pool: of.text('pool'), epoch: of.count('epoch'), on: of.flag('on') };
    case 'state':
      return {
        kind,
        pool: of.text('pool'),
        state: of.oneOf('state', poolStates),
        reason: of.text('reason'),
        differing: of.list('differing', textOf),
      };
    default:
      return actOf(of, kind);
  }
}

function actOf(of: Fields, kind: 'held' | 'run' | 'ran'): Word {
  const position = (name: string): number | null => of.maybe(name, (at) => of.count(at));
  if (kind === 'held')
    return {
      kind,
      pool: of.text('pool'),
      epoch: of.count('epoch'),
      open: of.flag('open'),
      done: of.flag('done'),
      writing: of.count('writing'),
      passed: position('passed'),
      partial: of.has('partial') && of.flag('partial'),
    };
  if (kind === 'ran')
    return {
      kind,
      id: of.count('id'),
      term: of.count('term'),
      ok: of.flag('ok'),
      detail: of.text('detail'),
      position: position('position'),
    };
  const target = of.fields('target');
  return {
    kind,
    id: of.count('id'),
    pool: of.text('pool'),
    hook: of.oneOf('hook', hookKinds),
    target: { node: target.text('node'), url: target.text('url') },
    epoch: of.count('epoch'),
    reason: of.oneOf('reason', epochReasons),
    policy: of.text('policy'),
    term: of.count('term'),
    deadline: of.ms('deadline'),
  };
}
