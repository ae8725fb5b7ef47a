/** Questions and answers between members about failover: whether what came is one. Nothing here throws. */
import type { CommandAnswer, FailoverCommand } from '../cluster/failover/contract.ts';

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;

const textMax = 1024;
const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= textMax;
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);
const isCountOrNull = (value: unknown): value is number | null =>
  value === null || (typeof value === 'number' && Number.isFinite(value) && value >= 0);
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';

/** null: it is no command. */
export function commandIn(value: unknown): FailoverCommand | null {
  const fields = fieldsOf(value);
  if (fields === null) return null;
  const { kind, pool, node, enabled, dryRun } = fields;
  if (kind === 'automatic') return isTextOrNull(pool) && isFlag(enabled) ? { kind, pool, enabled } : null;
  if (!isText(pool)) return null;
  if (kind === 'cancel') return { kind, pool };
  if (kind === 'adopt') return isText(node) ? { kind, pool, node } : null;
  if (kind === 'failback') return isFlag(dryRun) ? { kind, pool, dryRun } : null;
  return kind === 'switch' ? switchIn(fields, pool) : null;
}

function switchIn(fields: Fields, pool: string): FailoverCommand | null {
  const { target, at, dryRun, force, acceptLoss, lost } = fields;
  if (!isTextOrNull(target) || !isCountOrNull(at) || !isCountOrNull(acceptLoss)) return null;
  if (!isFlag(dryRun) || !isFlag(force) || !Array.isArray(lost) || !lost.every(isText)) return null;
  return { kind: 'switch', pool, target, at, dryRun, force, acceptLoss, lost };
}

const texts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

export function isAnswer(value: unknown): value is CommandAnswer {
  const fields = fieldsOf(value);
  if (fields === null) return false;
  const { ok, text, plan, error } = fields;
  if (ok === true) return isText(text) && (plan === null || isPlan(plan));
  const fault = fieldsOf(error);
  if (ok !== false || fault === null) return false;
  switch (fault['kind']) {
    case 'unknown-pool':
    case 'unknown-node':
      return texts(fault['known']);
    case 'unfit':
      return isText(fault['why']) && isFlag(fault['forcible']);
    case 'busy':
    case 'failed':
      return isText(fault['why']);
    case 'no-quorum':
      return texts(fault['missing']);
    default:
      return false;
  }
}

function isPlan(value: unknown): boolean {
  const plan = fieldsOf(value);
  if (plan === null || !isText(plan['pool']) || !isTextOrNull(plan['from']) || !isText(plan['to'])) return false;
  if (!isText(plan['why']) || !isCountOrNull(plan['pauseMs']) || !Array.isArray(plan['others'])) return false;
  return plan['others'].every((one) => {
    const other = fieldsOf(one);
    return other !== null && isText(other['node']) && isText(other['why']);
  });
}

/** Of the 32 KiB that members tell each other at once. */
const answerMax = 30 * 1024;

/** An answer as it can be told: what is too long is cut, and says so. */
export function tellable(answer: CommandAnswer): CommandAnswer {
  for (const most of [1000, 200, 50]) {
    const told = shortened(answer, most);
    if (Buffer.byteLength(JSON.stringify(told)) <= answerMax) return told;
  }
  return shortened(answer, 0);
}

const cut = (text: string): string => (text.length <= textMax ? text : `${text.slice(0, textMax - 1)}\u2026`);

function first<T>(all: readonly T[], most: number, rest: (left: number) => T): readonly T[] {
  return all.length <= most ? all : [...all.slice(0, most), rest(all.length - most)];
}

function shortened(answer: CommandAnswer, most: number): CommandAnswer {
  if (answer.ok) {
    const { plan } = answer;
    if (plan === null) return { ...answer, text: cut(answer.text) };
    const others = plan.others.map(({ node, why }) => ({ node: cut(node), why: cut(why) }));
    const more = (left: number) => ({ node: `and ${left} more`, why: 'not told: they are too many' });
    return {
      ...answer,
      text: cut(answer.text),
      plan: { ...plan, why: cut(plan.why), others: first(others, most, more) },
    };
  }
  const { error } = answer;
  const names = (all: readonly string[]): readonly string[] => first(all.map(cut), most, (left) => `and ${left} more`);
  switch (error.kind) {
    case 'unknown-pool':
    case 'unknown-node':
      return { ok: false, error: { ...error, known: names(error.known) } };
    case 'no-quorum':
      return { ok: false, error: { ...error, missing: names(error.missing) } };
    case 'not-leader':
      return answer;
    default:
      return { ok: false, error: { ...error, why: cut(error.why) } };
  }
}
