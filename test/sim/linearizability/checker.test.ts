import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check, describeVerdict } from './checker.ts';
import { type RegisterInput, type RegisterOutput, registerModel } from './corpus.ts';
import { HistoryRecorder, type Operation } from './history.ts';
import { type KvInput, type KvOutput, kvModel } from './kv-model.ts';
import { type LockInput, type LockOutput, lockModel } from './lock-model.ts';

type Register = Operation<RegisterInput, RegisterOutput>;

/** All orders that respect real time, all choices of which unknown ones happened: slow, and too simple to be wrong. */
function bruteForce(state: number | null, left: readonly Register[]): boolean {
  if (left.every((operation) => operation.output === null)) return true;
  return left.some((operation) => {
    if (left.some((other) => other !== operation && other.return < operation.call)) return false;
    const rest = left.filter((other) => other !== operation);
    return registerModel.step(state, operation.input, operation.output).some((after) => bruteForce(after, rest));
  });
}

const value = fc.integer({ min: 0, max: 1 });
const registerInput: fc.Arbitrary<RegisterInput> = fc.oneof(
  fc.constant<RegisterInput>({ do: 'read' }),
  fc.record({ do: fc.constant('write' as const), value }),
  fc.record({ do: fc.constant('cas' as const), from: value, to: value }),
);
const registerOperation = fc
  .record({
    input: registerInput,
    answered: fc.integer({ min: 0, max: 4 }).map((n) => n > 0),
    ok: fc.boolean(),
    read: fc.option(value, { nil: null, freq: 4 }),
    call: fc.nat(12),
    takes: fc.integer({ min: 1, max: 8 }),
  })
  .map(
    ({ input, answered, ok, read, call, takes }): Register => ({
      client: '',
      input,
      output: answered ? { ok, value: read } : null,
      call,
      return: answered ? call + takes + 0.5 : Number.POSITIVE_INFINITY,
    }),
  );

describe('the checker', () => {
  it('says what trying all orders says, for any small history', () => {
    const seen = { linearizable: 0, violation: 0 };
    fc.assert(
      fc.property(fc.array(registerOperation, { maxLength: 6 }), (history) => {
        const { kind } = check(registerModel, history);
        expect(kind).toBe(bruteForce(null, history) ? 'linearizable' : 'violation');
        if (kind !== 'undecided') seen[kind] += 1;
      }),
      { numRuns: 3000 },
    );
    expect(seen.linearizable).toBeGreaterThan(100);
    expect(seen.violation).toBeGreaterThan(100);
  });

  it('gives up beyond its bound and says so', () => {
    const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>();
    for (let i = 0; i < 60; i++) recorder.invoke(`c${i}`, { do: 'write', value: i });
    recorder.answered(recorder.invoke('r', { do: 'read' }), { ok: true, value: -1 });
    const verdict = check(registerModel, recorder.operations(), 5000);
    expect(verdict).toMatchObject({ kind: 'undecided' });
    expect(describeVerdict(verdict)).toContain('undecided');
  });

  it('tells where a violation got stuck', () => {
    const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>();
    recorder.answered(recorder.invoke('a', { do: 'write', value: 1 }), { ok: true, value: null });
    recorder.answered(recorder.invoke('b', { do: 'read' }), { ok: true, value: null });
    const verdict = check(registerModel, recorder.operations());
    expect(verdict).toMatchObject({ kind: 'violation', longest: [{ client: 'a' }], stuck: { client: 'b' } });
    expect(describeVerdict(verdict)).toMatch(/cannot have happened:\n {2}\[3, 4\] b: \{"do":"read"\}/);
  });

  it('a violation of one key is found among many, an unknown write may have happened or not', () => {
    const recorder = new HistoryRecorder<KvInput, KvOutput>();
    const kv = (input: KvInput, output: KvOutput | null): void => {
      const call = recorder.invoke('c', input);
      if (output !== null) recorder.answered(call, output);
    };
    for (let i = 1; i <= 50; i++) kv({ do: 'set', key: `k${i}`, value: 'x' }, { is: 'written', revision: i });
    kv({ do: 'set', key: 'k7', value: 'y' }, null);
    kv({ do: 'get', key: 'k7' }, { is: 'value', value: 'x', revision: 7 });
    kv({ do: 'get', key: 'k7' }, { is: 'value', value: 'y', revision: 60 });
    expect(check(kvModel, recorder.operations()).kind).toBe('linearizable');
    kv({ do: 'get', key: 'k7' }, { is: 'value', value: 'x', revision: 7 });
    expect(check(kvModel, recorder.operations())).toMatchObject({ kind: 'violation', part: 'k7' });
  });
});

type Line<I, O> = readonly [client: string, input: I, output: O | null];
type Told<I, O> = readonly Line<I, O>[];

/** Operations one after the other. */
function inOrder<I, O>(told: Told<I, O>): readonly Operation<I, O>[] {
  const recorder = new HistoryRecorder<I, O>();
  for (const [client, input, output] of told) {
    const call = recorder.invoke(client, input);
    if (output !== null) recorder.answered(call, output);
  }
  return recorder.operations();
}

describe('the model of keys', () => {
  const set = (to: string, revision: number | null): Line<KvInput, KvOutput> => [
    'c',
    { do: 'set', key: 'k', value: to },
    revision === null ? null : { is: 'written', revision },
  ];
  const got = (value: string, revision: number): Line<KvInput, KvOutput> => [
    'c',
    { do: 'get', key: 'k' },
    { is: 'value', value, revision },
  ];
  const verdict = (...told: Told<KvInput, KvOutput>): string => check(kvModel, inOrder(told)).kind;

  it('revisions grow and belong to one write each', () => {
    expect(verdict(set('a', 5), got('a', 5), set('b', 9), got('b', 9))).toBe('linearizable');
    expect(verdict(set('a', 5), set('b', 5))).toBe('violation');
    expect(verdict(set('a', 5), set('b', 4))).toBe('violation');
    expect(verdict(set('a', 5), got('a', 6))).toBe('violation');
    expect(verdict(set('a', 5), set('a', null), got('a', 6), got('a', 7))).toBe('violation');
  });

  it('what was deleted is absent until it is set again', () => {
    const remove: Line<KvInput, KvOutput> = ['c', { do: 'delete', key: 'k' }, { is: 'written', revision: 6 }];
    const nothing: Line<KvInput, KvOutput> = ['c', { do: 'delete', key: 'k' }, { is: 'absent' }];
    const absent: Line<KvInput, KvOutput> = ['c', { do: 'get', key: 'k' }, { is: 'absent' }];
    expect(verdict(nothing, set('a', 5), remove, absent, nothing, set('b', 7))).toBe('linearizable');
    expect(verdict(set('a', 5), absent)).toBe('violation');
    expect(verdict(set('a', 5), nothing)).toBe('violation');
    expect(verdict(set('a', 5), remove, got('a', 5))).toBe('violation');
  });

  it('a condition is looked at and acted on at once', () => {
    const cas = (from: string | null, to: string, output: KvOutput | null): Line<KvInput, KvOutput> => [
      'c',
      { do: 'cas', key: 'k', from, to },
      output,
    ];
    const at = (revision: number, to: string, output: KvOutput | null): Line<KvInput, KvOutput> => [
      'c',
      { do: 'cas-revision', key: 'k', at: revision, to },
      output,
    ];
    const written = (revision: number): KvOutput => ({ is: 'written', revision });
    const conflict = (revision: number | null): KvOutput => ({ is: 'conflict', revision });
    expect(verdict(cas('a', 'b', conflict(null)), cas(null, 'a', written(3)), got('a', 3))).toBe('linearizable');
    expect(verdict(set('a', 3), cas('a', 'b', conflict(3)))).toBe('violation');
    expect(verdict(set('a', 3), cas('x', 'b', written(4)))).toBe('violation');
    expect(verdict(set('a', 3), at(3, 'b', written(4)), at(3, 'c', conflict(4)))).toBe('linearizable');
    expect(verdict(set('a', 3), at(3, 'b', written(4)), at(3, 'c', written(5)))).toBe('violation');
    expect(verdict(set('a', 3), at(3, 'b', conflict(3)))).toBe('violation');
    expect(verdict(set('a', 3), set('b', null), at(9, 'c', written(10)), got('c', 10))).toBe('linearizable');
    expect(verdict(set('a', 3), at(3, 'b', null), got('b', 4))).toBe('linearizable');
    expect(verdict(set('a', 3), at(2, 'b', null), got('b', 4))).toBe('violation');
  });
});

describe('the model of locks', () => {
  const acquire = (owner: string, output: number | 'busy' | null): Line<LockInput, LockOutput> => [
    owner,
    { do: 'acquire', lock: 'l', owner },
    output === null ? null : output === 'busy' ? { is: 'busy' } : { is: 'held', token: output },
  ];
  const release = (token: number, is: 'done' | 'absent'): Line<LockInput, LockOutput> => [
    'c',
    { do: 'release', lock: 'l', token },
    { is },
  ];
  const extend = (token: number, is: 'done' | 'absent'): Line<LockInput, LockOutput> => [
    'c',
    { do: 'extend', lock: 'l', token },
    { is },
  ];
  const lost = (owner: string, token: number | null): Line<LockInput, LockOutput> => [
    '',
    { do: 'lost', lock: 'l', owner, token },
    null,
  ];
  const verdict = (...told: Told<LockInput, LockOutput>): string =>
    check(lockModel({ patient: false }), inOrder(told)).kind;

  it('one holder at a time, unless it may have been lost', () => {
    expect(verdict(acquire('a', 1), acquire('b', 'busy'), release(1, 'done'), acquire('b', 2))).toBe('linearizable');
    expect(verdict(acquire('a', 1), acquire('b', 2))).toBe('violation');
    expect(verdict(acquire('a', 1), lost('a', 1), acquire('b', 2))).toBe('linearizable');
    expect(verdict(acquire('a', 1), lost('a', 1), acquire('b', 2), extend(1, 'done'))).toBe('violation');
    expect(verdict(acquire('a', 1), lost('a', 1), extend(1, 'absent'), acquire('b', 'busy'))).toBe('linearizable');
    expect(verdict(acquire('a', 1), release(1, 'done'), acquire('b', 'busy'))).toBe('violation');
  });

  it('tokens grow, and one of no holder ends nothing', () => {
    expect(verdict(acquire('a', 5), release(5, 'done'), acquire('b', 5))).toBe('violation');
    expect(verdict(acquire('a', 5), release(5, 'done'), acquire('b', 4))).toBe('violation');
    expect(verdict(acquire('a', 5), release(4, 'absent'), release(5, 'done'), release(5, 'absent'))).toBe(
      'linearizable',
    );
    expect(verdict(acquire('a', 5), release(5, 'absent'))).toBe('violation');
    expect(verdict(acquire('a', 5), acquire('a', 5), extend(5, 'done'))).toBe('linearizable');
    expect(verdict(acquire('a', 5), acquire('a', 6))).toBe('violation');
  });

  it('an acquire that was not answered may hold it or not', () => {
    expect(verdict(acquire('a', null), acquire('b', 'busy'), acquire('a', 3))).toBe('linearizable');
    expect(verdict(acquire('a', null), acquire('b', 3))).toBe('linearizable');
    expect(verdict(acquire('a', null), acquire('b', 3), release(3, 'done'), acquire('c', 'busy'))).toBe('linearizable');
    expect(verdict(acquire('b', 3), acquire('a', null), release(3, 'done'), release(3, 'done'))).toBe('violation');
    expect(verdict(acquire('a', null), acquire('b', 'busy'), acquire('b', 3))).toBe('violation');
    expect(verdict(acquire('a', null), acquire('b', 'busy'), lost('a', null), acquire('b', 3))).toBe('linearizable');
  });
});
