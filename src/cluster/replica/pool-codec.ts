/** What is agreed about a pool with a primary, as bytes: in commands, in snapshots, under the hash of the state. */
import {
  type Allowed,
  epochReasons,
  type HookStart,
  hookKinds,
  type PoolRecord,
  phases,
  type Target,
} from '../failover/model.ts';
import { type ByteReader, ByteWriter } from './bytes.ts';

export const outcomes: readonly HookStart['outcome'][] = ['running', 'done', 'failed'];

const writeTarget = (to: ByteWriter, target: Target): void => void to.text(target.node).text(target.url);
const readTarget = (from: ByteReader): Target => ({ node: from.text(), url: from.text() });

function writeAllowed(to: ByteWriter, allowed: Allowed): void {
  to.byte(allowed.force ? 1 : 0).number(allowed.loss);
  to.list(allowed.lost, (uid) => to.text(uid));
}

const readAllowed = (from: ByteReader): Allowed => ({
  force: from.flag(),
  loss: from.number(),
  lost: from.list(() => from.text()),
});

function writeHook(to: ByteWriter, hook: HookStart): void {
  to.byte(hookKinds.indexOf(hook.kind)).text(hook.node).number(hook.epoch).number(hook.until);
  to.text(hook.runner).byte(outcomes.indexOf(hook.outcome));
}

const readHook = (from: ByteReader): HookStart => ({
  kind: from.oneOf(hookKinds),
  node: from.text(),
  epoch: from.number(),
  until: from.number(),
  runner: from.text(),
  outcome: from.oneOf(outcomes),
});

export function writePool(to: ByteWriter, record: PoolRecord): void {
  to.text(record.pool).number(record.step).number(record.epoch).byte(phases.indexOf(record.phase));
  to.option(record.target, (target) => writeTarget(to, target));
  to.byte(epochReasons.indexOf(record.reason)).text(record.policy);
  to.option(record.last, (last) => writeTarget(to.number(last.epoch), last.target));
  to.list(record.forks, (fork) => to.number(fork.epoch).option(fork.position, (position) => to.number(position)));
  to.list(record.hooks, (hook) => writeHook(to, hook));
  to.list(record.excluded, (node) => to.text(node));
  to.list(record.returning, (node) => to.text(node));
  for (const flag of [record.automatic, record.unleased]) to.byte(flag ? 1 : 0);
  to.option(record.allowed, (allowed) => writeAllowed(to, allowed));
  to.number(record.failures).number(record.retryAt);
  to.option(record.planned, (planned) => to.number(planned.at).option(planned.target, (node) => to.text(node)));
  const { chosenAt, fencedAt, promotedAt, openedAt } = record.times;
  to.number(chosenAt).number(fencedAt).number(promotedAt).number(openedAt);
  to.number(record.lastFailoverAt).number(record.flaps);
}

export const readPool = (from: ByteReader): PoolRecord => ({
  pool: from.text(),
  step: from.number(),
  epoch: from.number(),
  phase: from.oneOf(phases),
  target: from.option(() => readTarget(from)),
  reason: from.oneOf(epochReasons),
  policy: from.text(),
  last: from.option(() => ({ epoch: from.number(), target: readTarget(from) })),
  forks: from.list(() => ({ epoch: from.number(), position: from.option(() => from.number()) })),
  hooks: from.list(() => readHook(from)),
  excluded: from.list(() => from.text()),
  returning: from.list(() => from.text()),
  automatic: from.flag(),
  unleased: from.flag(),
  allowed: from.option(() => readAllowed(from)),
  failures: from.number(),
  retryAt: from.number(),
  planned: from.option(() => ({ at: from.number(), target: from.option(() => from.text()) })),
  times: {
    chosenAt: from.number(),
    fencedAt: from.number(),
    promotedAt: from.number(),
    openedAt: from.number(),
  },
  lastFailoverAt: from.number(),
  flaps: from.number(),
});

export function poolBytes(record: PoolRecord): number {
  const to = new ByteWriter();
  writePool(to, record);
  return to.length;
}
