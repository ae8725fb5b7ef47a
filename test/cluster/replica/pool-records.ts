/** Records of pools: any that can be written, and those of a story in which two that decide meet each other. */
import fc from 'fast-check';
import {
  type EpochReason,
  epochReasons,
  type HookStart,
  hookKinds,
  type Phase,
  type PoolRecord,
  phases,
  type Target,
} from '../../../src/cluster/failover/model.ts';
import type { Command } from '../../../src/cluster/replica/command.ts';

export const targetOf = (node: string): Target => ({ node, url: `http://${node}` });

/** The first record of pool `app`: epoch 1 is open on node a. */
export const poolRecord = (more: Partial<PoolRecord> = {}): PoolRecord => ({
  pool: 'app',
  step: 1,
  epoch: 1,
  phase: 'open',
  target: targetOf('a'),
  reason: 'first',
  policy: 'p1',
  last: null,
  forks: [],
  hooks: [],
  excluded: [],
  returning: [],
  automatic: true,
  unleased: false,
  allowed: null,
  failures: 0,
  retryAt: 0,
  planned: null,
  times: { chosenAt: 0, fencedAt: 0, promotedAt: 0, openedAt: 0 },
  lastFailoverAt: 0,
  flaps: 0,
  ...more,
});

/** The step after this one. */
export const next = (record: PoolRecord, more: Partial<PoolRecord> = {}): PoolRecord => ({
  ...record,
  step: record.step + 1,
  ...more,
});

export const change = (record: PoolRecord, note = ''): Command => ({ kind: 'pool', record, note });

const whole = fc.oneof(fc.nat(300), fc.maxSafeNat());
const word = fc.string({ unit: 'grapheme', maxLength: 8 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary, { nil: null });
const target = fc.record({ node: word, url: word });
const hook: fc.Arbitrary<HookStart> = fc.record({
  kind: fc.constantFrom(...hookKinds),
  node: word,
  epoch: whole,
  until: whole,
  runner: word,
  outcome: fc.constantFrom('running' as const, 'done' as const, 'failed' as const),
});

/** Any that can be written, sensible or not. */
export const anyRecord: fc.Arbitrary<PoolRecord> = fc.record({
  pool: word,
  step: whole,
  epoch: whole,
  phase: fc.constantFrom(...phases),
  target: maybe(target),
  reason: fc.constantFrom(...epochReasons),
  policy: word,
  last: maybe(fc.record({ epoch: whole, target })),
  forks: fc.array(fc.record({ epoch: whole, position: maybe(whole) }), { maxLength: 3 }),
  hooks: fc.array(hook, { maxLength: 3 }),
  excluded: fc.array(word, { maxLength: 3 }),
  returning: fc.array(word, { maxLength: 3 }),
  automatic: fc.boolean(),
  unleased: fc.boolean(),
  allowed: maybe(fc.record({ force: fc.boolean(), loss: whole, lost: fc.array(word, { maxLength: 3 }) })),
  failures: whole,
  retryAt: whole,
  planned: maybe(fc.record({ at: whole, target: maybe(word) })),
  times: fc.record({ chosenAt: whole, fencedAt: whole, promotedAt: whole, openedAt: whole }),
  lastFailoverAt: whole,
  flaps: whole,
});

/** A try: some phase, epoch and target, a step that follows what is known, or one that is late or made up. */
export interface Try {
  readonly pool: string;
  readonly phase: Phase;
  readonly epoch: number;
  readonly node: string | null;
  readonly step: number;
  readonly reason: EpochReason;
}

export const tries: fc.Arbitrary<readonly Try[]> = fc.array(
  fc.record({
    pool: fc.constantFrom('app', 'app', 'db'),
    phase: fc.constantFrom<Phase[]>('pending', 'pending', 'open', 'open', 'failed', 'undecided'),
    /** Against the epoch that is known. */
    epoch: fc.constantFrom(-1, 0, 0, 1, 1, 2),
    /** null: as it is, or none. */
    node: fc.constantFrom('a', 'b', null, null),
    /** Against the step that would follow. */
    step: fc.constantFrom(0, 0, 0, 0, -1, 1),
    reason: fc.constantFrom(...epochReasons),
  }),
  { minLength: 15, maxLength: 60 },
);

export function recordOf(one: Try, known: PoolRecord | null): PoolRecord {
  const target = one.node === null ? (known?.target ?? null) : targetOf(one.node);
  return poolRecord({
    pool: one.pool,
    step: Math.max(0, (known?.step ?? 0) + 1 + one.step),
    epoch: Math.max(0, (known?.epoch ?? 0) + one.epoch),
    phase: one.phase,
    target: one.phase === 'undecided' ? null : target,
    reason: one.reason,
  });
}
