/**
 * The changes that the admin API takes, each told to the audit log with its result: what is wished of a node, and the
 * reload. Bodies are small JSON objects; an unknown member is refused, so that a misspelt one does not pass for done.
 */
import type { Context } from 'hono';
import type { Millis } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import type { Result } from '../base/result.ts';
import type { PoolStats } from '../observe/stats-model.ts';
import type { AdminActions, AuditEntry } from './actions.ts';
import { json, oneOf, type ProblemAnswer, problemResponse, shortened, withoutSource } from './problem.ts';

export interface ChangeOptions {
  readonly actions: AdminActions;
  /** Monotonic, ms. */
  readonly now: () => Millis;
  /** The text of a request's body; refused if it is too long or breaks off. Never rejects. */
  readonly readBody: (request: Request) => Promise<Result<string, ProblemAnswer>>;
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

/** One audited change: begun before its body is read, so that the entry tells how long it took. */
interface Change {
  readonly done: (answer: Response) => Response;
  readonly refused: (problem: ProblemAnswer) => Response;
  readonly failed: (problem: ProblemAnswer) => Response;
}

function beginChange(
  { actions, now, peerOf }: ChangeOptions,
  context: Context,
  about: Pick<AuditEntry, 'action' | 'target' | 'value'>,
): Change {
  const begun = now();
  const audit = (result: AuditEntry['result'], reason: string): void =>
    actions.audit({ ...about, result, reason, peer: peerOf(context), tookMs: Math.max(0, now() - begun) });
  const tell = (result: 'refused' | 'failed') => (problem: ProblemAnswer) => {
    audit(result, problem.detail);
    return problemResponse(problem);
  };
  const done = (answer: Response): Response => {
    audit('done', '');
    return answer;
  };
  return { done, refused: tell('refused'), failed: tell('failed') };
}

/** Tells of a change that was refused before it was looked at. */
export function auditRefusal(options: ChangeOptions, context: Context, reason: string): void {
  const { method, path } = context.req;
  options.actions.audit({
    action: method.slice(0, 20),
    target: path.slice(0, 200),
    value: '',
    result: 'refused',
    reason,
    peer: options.peerOf(context),
    tookMs: 0,
  });
}

export function setWish(options: ChangeOptions, context: Context): Promise<Response> {
  const target = `${param(context, 'pool')}/${param(context, 'node')}`.slice(0, 300);
  return options.readBody(context.req.raw).then((body) => {
    const wish = body.ok ? wishOf(body.value) : body.error;
    const value = typeof wish === 'string' ? wish : '';
    const change = beginChange(options, context, { action: 'set-wish', target, value });
    if (typeof wish !== 'string') return change.refused(wish);
    const found = findPool(options.actions.stats().pools, param(context, 'pool'));
    if ('status' in found) return change.refused(found);
    const node = found.pool.nodes.find((one) => one.id === param(context, 'node'));
    if (node === undefined) return change.refused(unknownNode(found.pool, param(context, 'node')));
    options.actions.setWish({ pool: found.pool.name, node: node.id, wish });
    const after = options.actions.stats().pools.find((one) => one.name === found.pool.name);
    return change.done(json(after?.nodes.find((one) => one.id === node.id) ?? { id: node.id, wish }));
  });
}

function unknownNode(pool: PoolStats, id: string): ProblemAnswer {
  const known = pool.nodes.map((one) => one.id);
  const detail = `pool ${JSON.stringify(pool.name)} has no node ${shortened(id)}; ${oneOf(known)}`;
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

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null; // the caller answers 400
  }
}

export function reload(options: ChangeOptions, context: Context): Promise<Response> {
  const change = beginChange(options, context, { action: 'reload', target: '', value: '' });
  return options.readBody(context.req.raw).then((body) => {
    if (!body.ok) return change.refused(body.error);
    if (body.value.trim() !== '' && parseObject(body.value) === null) {
      return change.refused({ status: 400, title: 'Body is not a JSON object', detail: 'send {} or nothing' });
    }
    return options.actions.reload().then((result) => {
      if (result.ok) {
        const { version, changed, warnings } = result;
        return change.done(json({ version, changed, warnings: warnings.map(withoutSource) }));
      }
      const { version, problems } = result;
      return change.failed({
        status: 422,
        title: 'Config refused',
        detail: `${problems.length} problem${problems.length === 1 ? '' : 's'}; config ${version} stays in force`,
        extra: { version, problems: problems.map(withoutSource) },
      });
    });
  });
}
