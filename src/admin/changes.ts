/**
 * The changes that the admin API takes, each told to the audit log with its result: what is wished of a node, and the
 * reload. Bodies are small JSON objects; an unknown member is refused, so that a misspelt one does not pass for done.
 */
import type { Context } from 'hono';
import type { Bytes, Millis } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import type { Result } from '../base/result.ts';
import type { PoolStats } from '../observe/stats-model.ts';
import type { AdminActions, AuditEntry, ReloadResult } from './actions.ts';
import { json, oneOf, type ProblemAnswer, printable, problemResponse, shortened, withoutSource } from './problem.ts';

export interface ChangeOptions {
  readonly actions: AdminActions;
  /** Monotonic, ms. */
  readonly now: () => Millis;
  /** The text of a request's body; refused if it is longer (default 64 KiB) or breaks off. Never rejects. */
  readonly readBody: (context: Context, maxBytes?: Bytes) => Promise<Result<string, ProblemAnswer>>;
  /** Peer's address of a request, `unix` for a unix socket. */
  readonly peerOf: (context: Context) => string;
}

/** A path parameter, decoded; one that can't be decoded is as it was sent. */
export const param = (context: Context, name: string): string => context.req.param(name) ?? '';

export function findPool(pools: readonly PoolStats[], name: string): { readonly pool: PoolStats } | ProblemAnswer {
  const pool = pools.find((one) => one.name === name);
  if (pool !== undefined) return { pool };
  const known = pools.map((one) => one.name);
  return { status: 404, title: 'Unknown pool', detail: `there is no pool ${shortened(name)}; ${oneOf(known)}` };
}

/** How a change ended. `value`: what was asked for, in one word for the audit log. */
export type Ended =
  | { readonly result: 'done'; readonly value: string; readonly answer: Response }
  | { readonly result: 'refused' | 'failed'; readonly value: string; readonly problem: ProblemAnswer };

export const refused = (problem: ProblemAnswer, value = ''): Ended => ({ result: 'refused', value, problem });

interface About {
  readonly action: string;
  readonly target: string;
  readonly change: (body: string) => Ended | Promise<Ended>;
}

/** Reads the body, makes the change, and tells the audit log how it ended, whatever happens. */
export function audited(
  options: ChangeOptions,
  context: Context,
  { action, target, change }: About,
): Promise<Response> {
  const { actions, now, peerOf, readBody } = options;
  const begun = now();
  const tell = (about: Pick<AuditEntry, 'value' | 'result' | 'reason'>): void =>
    actions.audit({ action, target, ...about, peer: peerOf(context), tookMs: Math.max(0, now() - begun) });
  return readBody(context)
    .then((body) => (body.ok ? change(body.value) : refused(body.error)))
    .then(
      (ended) => {
        const { value, result } = ended;
        tell({ value, result, reason: ended.result === 'done' ? '' : ended.problem.detail });
        return ended.result === 'done' ? ended.answer : problemResponse(ended.problem);
      },
      (error: unknown) => {
        tell({ value: '', result: 'failed', reason: 'internal error' });
        throw error;
      },
    );
}

/** Tells of a change that was refused before it was looked at. */
export function auditRefusal(options: ChangeOptions, context: Context, reason: string): void {
  const { method, path } = context.req;
  options.actions.audit({
    action: printable(method, 20),
    target: printable(path, 200),
    value: '',
    result: 'refused',
    reason,
    peer: options.peerOf(context),
    tookMs: 0,
  });
}

export function setWish(options: ChangeOptions, context: Context): Promise<Response> {
  const { actions } = options;
  const names = { pool: param(context, 'pool'), node: param(context, 'node') };
  const change = (body: string): Ended | Promise<Ended> => {
    const wish = wishOf(body);
    if (typeof wish !== 'string') return refused(wish);
    const found = findPool(actions.stats().pools, names.pool);
    if ('status' in found) return refused(found, wish);
    const nodeIn = (pool: PoolStats | undefined) => pool?.nodes.find((one) => one.id === names.node);
    if (nodeIn(found.pool) === undefined) return refused(unknownNode(found.pool, names.node), wish);
    return actions.setWish({ ...names, wish }).then((set): Ended => {
      if (!set.ok) return { result: 'failed', value: wish, problem: set.error };
      const after = nodeIn(actions.stats().pools.find((one) => one.name === names.pool));
      return { result: 'done', value: wish, answer: json(after ?? { id: names.node, wish }) };
    });
  };
  return audited(options, context, {
    action: 'set-wish',
    target: printable(`${names.pool}/${names.node}`, 300),
    change,
  });
}

function unknownNode(pool: PoolStats, id: string): ProblemAnswer {
  const known = pool.nodes.map((one) => one.id);
  const detail = `pool ${shortened(pool.name)} has no node ${shortened(id)}; ${oneOf(known)}`;
  return { status: 404, title: 'Unknown node', detail };
}

const wishes: ReadonlySet<unknown> = new Set<Wish>(['ready', 'drain', 'maint']);
const wanted = 'the body must be {"wish": "ready"}, {"wish": "drain"} or {"wish": "maint"}';

function wishOf(body: string): Wish | ProblemAnswer {
  const parsed = parseObject(body);
  if (parsed === null) return { status: 400, title: 'Body is not a JSON object', detail: wanted };
  const unknown = Object.keys(parsed).find((key) => key !== 'wish');
  if (unknown !== undefined) {
    return { status: 422, title: 'Unknown member', detail: `${shortened(unknown)} is not known; ${wanted}` };
  }
  const wish = 'wish' in parsed ? parsed.wish : undefined;
  return wishes.has(wish) ? (wish as Wish) : { status: 422, title: 'Unknown wish', detail: wanted };
}

export function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null; // the caller answers 400
  }
}

export function reload(options: ChangeOptions, context: Context): Promise<Response> {
  const change = (body: string): Ended | Promise<Ended> => {
    if (body.trim() !== '' && parseObject(body) === null) {
      return refused({ status: 400, title: 'Body is not a JSON object', detail: 'send {} or nothing' });
    }
    return options.actions.reload().then(reloadEnded);
  };
  return audited(options, context, { action: 'reload', target: '', change });
}

function reloadEnded(result: ReloadResult): Ended {
  const { version } = result;
  if (result.ok) {
    const warnings = result.warnings.map(withoutSource);
    return { result: 'done', value: '', answer: json({ version, changed: result.changed, warnings }) };
  }
  const problems = result.problems.map(withoutSource);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const count = `${errors} problem${errors === 1 ? '' : 's'}`;
  const detail = `${count}; config ${version} stays in force`;
  return {
    result: 'failed',
    value: '',
    problem: { status: 422, title: 'Config refused', detail, extra: { version, problems } },
  };
}
