/** Any command, any result, and sequences of commands that meet each other often. */
import fc from 'fast-check';
import type { Command, CommandResult } from '../../../src/cluster/replica/command.ts';
import { bounded, counted, findable } from '../../../src/cluster/replica/command.ts';
import { type Condition, type Fact, latestAt, recordKinds } from '../../../src/cluster/replica/model.ts';
import { bytes } from './bench.ts';
import { anyRecord, poolRecord } from './pool-records.ts';

const whole = fc.oneof(fc.nat(300), fc.maxSafeNat());
const word = fc.string({ unit: 'grapheme', maxLength: 8 });
const value = fc.uint8Array({ maxLength: 40 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ kind: 'any' }),
  fc.constant<Condition>({ kind: 'absent' }),
  fc.record({ kind: fc.constant('revision' as const), revision: whole }),
  fc.record({ kind: fc.constant('value' as const), value }),
);

const facts = fc
  .uniqueArray(fc.tuple(word, word), { selector: ([name]) => name, maxLength: 4 })
  .map((list): readonly Fact[] => list.sort(([a], [b]) => (a < b ? -1 : 1)));

const kindOf = <K extends Command['kind']>(kind: K): fc.Arbitrary<K> => fc.constant(kind);

export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: kindOf('set'), key: word, value, lease: maybe(whole), when: condition }),
  fc.record({ kind: kindOf('delete'), key: word, when: condition }),
  fc.record({ kind: kindOf('grant'), ttlMs: whole }),
  fc.record({ kind: kindOf('keep-alive'), lease: whole }),
  fc.record({ kind: kindOf('revoke'), lease: whole }),
  fc.record({ kind: kindOf('acquire'), name: word, owner: word, ttlMs: whole, waitMs: whole, delayMs: whole }),
  fc.record({ kind: kindOf('extend'), name: word, token: whole, ttlMs: whole }),
  fc.record({ kind: kindOf('release'), name: word, token: whole }),
  fc.record({ kind: kindOf('withdraw'), name: word, owner: word }),
  fc.record({ kind: kindOf('register'), what: fc.constantFrom(...recordKinds), id: word, facts }),
  fc.record({ kind: kindOf('unregister'), what: fc.constantFrom(...recordKinds), id: word }),
  fc.record({ kind: kindOf('note'), topic: word, subject: word, text: word }),
  fc.record({ kind: kindOf('pool'), record: anyRecord, note: word }),
  fc.constant<Command>({ kind: 'expire' }),
  fc.constant<Command>({ kind: 'raise' }),
);

export const anyProposal = fc.record({
  proposer: fc.record({
    uid: fc.string({ minLength: 1, maxLength: 20 }),
    boot: whole,
    number: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  }),
  at: fc.nat(latestAt),
  command: anyCommand,
});

const resultOf = <K extends CommandResult['kind']>(kind: K): fc.Arbitrary<K> => fc.constant(kind);

export const anyResult: fc.Arbitrary<CommandResult> = fc.oneof(
  fc.record({ kind: resultOf('written'), revision: whole }),
  fc.record({ kind: resultOf('deleted'), revision: maybe(whole) }),
  fc.record({ kind: resultOf('granted'), lease: whole, expiresAt: whole }),
  fc.record({ kind: resultOf('extended'), expiresAt: whole }),
  fc.record({ kind: resultOf('acquired'), token: whole, expiresAt: whole }),
  fc.record({ kind: resultOf('waiting'), ahead: whole, deadline: whole }),
  fc.record({ kind: resultOf('conflict'), revision: maybe(whole) }),
  fc.record({ kind: resultOf('busy'), owner: maybe(word), until: whole }),
  fc.record({ kind: resultOf('deadlock'), cycle: fc.array(fc.record({ owner: word, lock: word }), { maxLength: 4 }) }),
  fc.record({ kind: resultOf('absent'), what: fc.constantFrom(...findable) }),
  fc.record({ kind: resultOf('too-large'), what: fc.constantFrom(...bounded), size: whole, max: whole }),
  fc.record({ kind: resultOf('full'), what: fc.constantFrom(...counted), max: whole }),
  fc.constantFrom<CommandResult>({ kind: 'done' }, { kind: 'unknown' }, { kind: 'unreadable' }),
);

/** A step of a story: a command over few names, and the time that passes before it. */
export interface Step {
  readonly pass: number;
  readonly uid: string;
  readonly number: number | null;
  /** Made with what the state then holds, so that leases and tokens exist. */
  readonly command: (known: { readonly lease: number; readonly token: number }) => Command;
}

const few = fc.constantFrom('k/a', 'k/b', 'k/c', 'other');
const owners = fc.constantFrom('ann', 'bob', 'cid');
const span = fc.constantFrom(0, 1, 5, 20, 100);
const fewValues = fc.constantFrom('x', 'y').map(bytes);
const fewConditions: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Condition>({ kind: 'any' }) },
  { weight: 1, arbitrary: fc.constant<Condition>({ kind: 'absent' }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('value' as const), value: fewValues }) },
);

const storyCommand: fc.Arbitrary<Step['command']> = fc.oneof(
  fc.record({ key: few, value: fewValues, leased: fc.boolean(), when: fewConditions }).map(
    ({ leased, ...rest }) =>
      (known: { readonly lease: number }): Command => ({
        kind: 'set',
        ...rest,
        lease: leased ? known.lease : null,
      }),
  ),
  fc.record({ key: few, when: fewConditions }).map((rest) => (): Command => ({ kind: 'delete', ...rest })),
  span.map((ttlMs) => (): Command => ({ kind: 'grant', ttlMs })),
  fc.constantFrom('keep-alive' as const, 'revoke' as const).map((kind): Step['command'] => ({ lease }) => ({
    kind,
    lease,
  })),
  fc
    .record({ name: few, owner: owners, ttlMs: span, waitMs: span, delayMs: span })
    .map((rest) => (): Command => ({ kind: 'acquire', ...rest })),
  fc.tuple(few, span).map(([name, ttlMs]): Step['command'] => ({ token }) => ({ kind: 'extend', name, token, ttlMs })),
  few.map((name): Step['command'] => ({ token }) => ({ kind: 'release', name, token })),
  fc.record({ name: few, owner: owners }).map((rest) => (): Command => ({ kind: 'withdraw', ...rest })),
  anyCommand.filter(({ kind }) => /register|note/.test(kind)).map((command) => (): Command => command),
  fc.tuple(few, fc.nat(3)).map(
    ([pool, step]) =>
      (): Command => ({ kind: 'pool', record: poolRecord({ pool, step }), note: pool }),
  ),
  { weight: 3, arbitrary: fc.constant((): Command => ({ kind: 'expire' })) },
);

export const story: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    pass: fc.constantFrom(0, 0, 1, 7, 50),
    uid: fc.constantFrom('a', 'b'),
    number: fc.option(fc.integer({ min: 1, max: 30 }), { nil: null, freq: 6 }),
    command: storyCommand,
  }),
  { maxLength: 60 },
);
