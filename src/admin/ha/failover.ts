/**
 * Failover over the API: what it is doing, and what operators may have it do. Each deed is a line of the audit log; what
 * comes of it is in the history, which all members keep.
 */
import type { Context } from 'hono';
import { ok, type Result } from '../../base/result.ts';
import type { CommandAnswer, CommandError, FailoverCommand, SwitchPlan } from '../../cluster/failover/contract.ts';
import { explain } from '../../cluster/replica/refusals.ts';
import { audited, type Ended, param, refused } from '../changes.ts';
import { fixedFields, json, oneOf, type ProblemAnswer, printable, problemResponse, shortened } from '../problem.ts';
import { Asked } from './asked.ts';
import { isoTime } from './errors.ts';
import type { FailoverActions, PoolView } from './failover-actions.ts';
import { failoverShown, isWriting, primaryOf } from './failover-view.ts';
import { askedOf, type HaOptions } from './room.ts';

export interface FailoverWhere {
  readonly failover: FailoverActions;
  readonly context: Context;
}

export const failoverStatus = ({ failover }: FailoverWhere): Response =>
  json({ pools: Object.fromEntries(failover.pools().map((view) => [view.status.pool, failoverShown(view)])) });

const poolIn = (failover: FailoverActions, name: string): PoolView | undefined =>
  failover.pools().find(({ status }) => status.pool === name);

const unknownPool = (name: string, known: readonly string[]): ProblemAnswer => ({
  status: 404,
  title: 'Unknown pool',
  detail: `there is no pool ${shortened(name)} with failover; ${oneOf(known)}`,
  extra: { reason: 'unknown-pool', known },
});

const unknownNode = (node: string, known: readonly string[]): ProblemAnswer => ({
  status: 404,
  title: 'Unknown node',
  detail: `there is no node ${shortened(node)} there; ${oneOf(known)}`,
  extra: { reason: 'unknown-node', known },
});

const namesOf = (failover: FailoverActions): string[] => failover.pools().map(({ status }) => status.pool);

/** For balancers: 200 if this member knows a primary that takes writes; with ?node= only if it is that one. */
export function primaryCheck({ failover, context }: FailoverWhere): Response {
  const asked = askedOf(context);
  const node = asked.has('node') ? asked.text('node') : null;
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  const name = param(context, 'pool');
  const view = poolIn(failover, name);
  if (view === undefined) return problemResponse(unknownPool(name, namesOf(failover)));
  const primary = primaryOf(view);
  const good = primary !== null && isWriting(view) && (node === null || node === primary);
  return json(
    { pool: name, primary, epoch: view.status.record?.epoch ?? 0, writes: isWriting(view) },
    good ? 200 : 503,
  );
}

/** For balancers: 200 if that node is a replica that is up. */
export function replicaCheck({ failover, context }: FailoverWhere): Response {
  const [name, node] = [param(context, 'pool'), param(context, 'node')];
  const view = poolIn(failover, name);
  if (view === undefined) return problemResponse(unknownPool(name, namesOf(failover)));
  const found = view.status.nodes.find((one) => one.node === node);
  if (found === undefined)
    return problemResponse(
      unknownNode(
        node,
        view.status.nodes.map((one) => one.node),
      ),
    );
  const returning = view.status.record?.returning.includes(node) ?? false;
  const good = found.role === 'SECONDARY' && found.up === true && !returning;
  const { role, up, lag } = found;
  return json({ pool: name, node, role, up, lagMs: lag, returning }, good ? 200 : 503);
}

const problemTitles: Readonly<Record<CommandError['kind'], readonly [status: number, title: string]>> = {
  'unknown-pool': [404, 'Unknown pool'],
  'unknown-node': [404, 'Unknown node'],
  unfit: [409, 'Not fit to be primary'],
  busy: [409, 'Not now'],
  'no-quorum': [503, 'No quorum'],
  'not-leader': [503, 'No answer from the leader'],
  failed: [409, 'Failed'],
};

export function failoverProblem(
  error: CommandError,
  asked: { readonly pool: string; readonly node: string },
): ProblemAnswer {
  if (error.kind === 'unknown-pool') return unknownPool(asked.pool, error.known);
  if (error.kind === 'unknown-node') return unknownNode(asked.node, error.known);
  const [status, title] = problemTitles[error.kind];
  const extra = { reason: error.kind };
  switch (error.kind) {
    case 'unfit':
      return { status, title, detail: error.why, extra: { ...extra, forcible: error.forcible } };
    case 'no-quorum': {
      const missing = error.missing.length > 0 ? `: missing ${error.missing.join(', ')}` : '';
      const detail = `no majority of the members can be reached, so nobody may change a primary${missing}`;
      return { status, title, detail, extra: { ...extra, missing: error.missing, retryAfterSeconds: 1 } };
    }
    case 'not-leader': {
      const detail = 'the leader did not answer in time; GET /ha/failover shows what came of it';
      return { status, title, detail, extra: { ...extra, retryAfterSeconds: 1 } };
    }
    default:
      return { status, title, detail: error.why, extra };
  }
}

interface Deed {
  readonly action: string;
  /** Reads what is asked for; what is wrong with it is the answer. */
  readonly read: (asked: Asked) => { readonly command: FailoverCommand; readonly value: string; readonly node: string };
}

function deed(options: HaOptions, { failover, context }: FailoverWhere, { action, read }: Deed): Promise<Response> {
  const change = (body: string): Ended | Promise<Ended> => {
    const asked = new Asked({}, body);
    const { command, value, node } = read(asked);
    const wrong = asked.wrong();
    if (wrong !== null) return refused(wrong, value);
    return failover.command(command).then((answer): Ended => {
      const about = { pool: command.pool ?? '', node };
      if (answer.ok) return { result: 'done', value, answer: json(doneShown(command, answer)) };
      return { result: 'failed', value, problem: failoverProblem(answer.error, about) };
    });
  };
  return audited(options, context, { action, target: '', change });
}

function doneShown(command: FailoverCommand, { text, plan }: Extract<CommandAnswer, { readonly ok: true }>): object {
  const dryRun = 'dryRun' in command && command.dryRun;
  return { pool: command.pool, dryRun, text, plan: plan === null ? null : planShown(plan) };
}

const planShown = ({ from, to, why, others, pauseMs }: SwitchPlan): object => ({ from, to, why, others, pauseMs });

/** A moment as RFC 3339 or ms since 1970. */
function momentOf(asked: Asked): number | null {
  if (!asked.has('at') || asked.any('at') === null) return null;
  const given = asked.any('at');
  const at = typeof given === 'string' ? Date.parse(given) : given;
  if (typeof at === 'number' && Number.isFinite(at) && at >= 0) return at;
  asked.fail('at must be a moment such as 2026-05-01T03:00:00Z');
  return null;
}

function membersOf(asked: Asked): readonly string[] {
  const given = asked.any('lost') ?? [];
  if (Array.isArray(given) && given.every((one) => typeof one === 'string')) return given;
  asked.fail('lost must be a list of names of members');
  return [];
}

/** A plan keeps a moment and a node: a word given now would not count then. */
const onlyNow =
  'force, acceptLoss and lost are words on a switch now: what is so then nobody has looked at; ask without at';

export const switchPrimary = (options: HaOptions, where: FailoverWhere): Promise<Response> =>
  deed(options, where, {
    action: 'failover',
    read: (asked) => {
      const pool = asked.text('pool');
      const target =
        asked.has('targetNodeId') && asked.any('targetNodeId') !== null ? asked.text('targetNodeId') : null;
      const command: FailoverCommand = {
        kind: 'switch',
        pool,
        target,
        at: momentOf(asked),
        dryRun: asked.flag('dryRun', false),
        force: asked.flag('force', false),
        acceptLoss: asked.has('acceptLoss') && asked.any('acceptLoss') !== null ? asked.whole('acceptLoss') : null,
        lost: membersOf(asked),
      };
      const byWord = command.force || command.acceptLoss !== null || command.lost.length > 0;
      if (command.at !== null && byWord) asked.fail(onlyNow);
      const to = target === null ? 'to the fittest' : `to ${printable(target, 100)}`;
      const value = `${printable(pool, 100)} ${to}${command.dryRun ? ', dry run' : ''}${command.force ? ', by force' : ''}`;
      return { command, value, node: target ?? '' };
    },
  });

export const failback = (options: HaOptions, where: FailoverWhere): Promise<Response> =>
  deed(options, where, {
    action: 'failback',
    read: (asked) => {
      const pool = asked.text('pool');
      const dryRun = asked.flag('dryRun', false);
      return { command: { kind: 'failback', pool, dryRun }, value: printable(pool, 100), node: '' };
    },
  });

export const adopt = (options: HaOptions, where: FailoverWhere): Promise<Response> =>
  deed(options, where, {
    action: 'adopt',
    read: (asked) => {
      const [pool, node] = [asked.text('pool'), asked.text('nodeId')];
      return { command: { kind: 'adopt', pool, node }, value: printable(`${pool} ${node}`, 200), node };
    },
  });

export const cancel = (options: HaOptions, where: FailoverWhere): Promise<Response> =>
  deed(options, where, {
    action: 'cancel-switch',
    read: (asked) => {
      const pool = asked.text('pool');
      return { command: { kind: 'cancel', pool }, value: printable(pool, 100), node: '' };
    },
  });

/** Automatic failover of one pool, or of all. */
export const setAutomatic = (options: HaOptions, where: FailoverWhere, enabled: boolean): Promise<Response> =>
  deed(options, where, {
    action: enabled ? 'enable-failover' : 'disable-failover',
    read: (asked) => {
      const pool = asked.has('pool') && asked.any('pool') !== null ? asked.text('pool') : null;
      return { command: { kind: 'automatic', pool, enabled }, value: printable(pool ?? 'all pools', 100), node: '' };
    },
  });

export function failoverHistory({ failover, context }: FailoverWhere): Response | Promise<Response> {
  const asked = askedOf(context);
  const after = asked.whole('after', 0);
  const limit = asked.whole('limit', 100);
  const pool = asked.has('pool') ? asked.text('pool') : null;
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  return failover.history(after).then((read) => {
    if (!read.ok) return problemResponse(stateProblem(explain(read.error)));
    const own = read.value.value.filter(({ subject }) => pool === null || subject === pool);
    const events = own.slice(-Math.max(1, Math.min(limit, 1000)));
    return json({
      events: events.map(({ number, at, subject, text }) => ({ number, at: isoTime(at), pool: subject, text })),
    });
  });
}

const stateProblem = (detail: string): ProblemAnswer => ({
  status: 503,
  title: 'Agreed state is not available',
  detail,
  extra: { retryAfterSeconds: 1 },
});

/** Role and priority of a node, agreed by all members; null: as in the file. What is not named stays. */
export function patchNode(options: HaOptions, { failover, context }: FailoverWhere): Promise<Response> {
  const node = param(context, 'node');
  const change = (body: string): Ended | Promise<Ended> => {
    const asked = new Asked({}, body);
    const wish = wishOf(asked, node);
    const value = printable(JSON.stringify(wish), 200);
    const wrong = asked.wrong();
    if (wrong !== null) return refused(wrong, value);
    const found = findNode(failover, node, wish.pool);
    if (!found.ok) return refused(found.error, value);
    if (wish.role === 'primary') return refused(notSo(found.value, node), value);
    const { role, priority } = wish;
    return failover.setNode({ pool: found.value, node, role, priority }).then((written): Ended => {
      if (!written.ok) return { result: 'failed', value, problem: stateProblem(explain(written.error)) };
      return { result: 'done', value, answer: json({ pool: found.value, id: node, role, priority }) };
    });
  };
  return audited(options, context, { action: 'set-node', target: printable(node, 300), change });
}

const notSo = (pool: string, node: string): ProblemAnswer => ({
  status: 409,
  title: 'Not by this way',
  detail: `a primary is made by a change of epoch: POST /api/ha/failover with pool ${shortened(pool)} and targetNodeId ${shortened(node)}`,
  extra: { reason: 'use-failover' },
});

const roles = ['primary', 'replica', 'standby'] as const;

interface NodeWish {
  readonly pool: string | null;
  readonly role: (typeof roles)[number] | null | undefined;
  readonly priority: number | null | undefined;
}

function wishOf(asked: Asked, node: string): NodeWish {
  const pool = asked.has('pool') ? asked.text('pool') : null;
  const set = <T>(name: string, read: () => T): T | null | undefined =>
    asked.has(name) && asked.any(name) !== null ? read() : (asked.any(name) as null | undefined);
  const role = set('role', () => asked.oneOf('role', roles, 'replica'));
  const priority = set('priority', () => asked.whole('priority'));
  if (typeof priority === 'number' && priority > 65_535) asked.fail('priority must be a whole number from 0 to 65535');
  if (!asked.has('role') && !asked.has('priority'))
    asked.fail(`say role or priority of ${shortened(node)}; null: as in the file`);
  return { pool, role, priority };
}

/** The pool of that node: by its name, or the only one that has it. */
function findNode(failover: FailoverActions, node: string, name: string | null): Result<string, ProblemAnswer> {
  const views = failover.pools();
  const named = name === null ? views : views.filter(({ status }) => status.pool === name);
  if (named.length === 0 && name !== null) return { ok: false, error: unknownPool(name, namesOf(failover)) };
  const having = named.filter(({ status }) => status.nodes.some((one) => one.node === node));
  const [first, second] = having;
  if (first === undefined) {
    const known = named.flatMap(({ status }) => status.nodes.map((one) => one.node));
    return { ok: false, error: unknownNode(node, known) };
  }
  if (second === undefined) return ok(first.status.pool);
  const pools = having.map(({ status }) => status.pool);
  const detail = `${shortened(node)} is in the pools ${pools.map(shortened).join(', ')}: say which with "pool"`;
  return { ok: false, error: { status: 422, title: 'Which pool?', detail, extra: { known: pools } } };
}

const aliveMs = 15_000;

/**
 * What failover does, as server-sent events: `event: failover`, data: { event, pool, level, text }. A reader that falls
 * behind by 1 MiB is told `event: ended`, data: { why: slow }, in place of the rest.
 */
export function failoverEvents(options: HaOptions, { failover }: FailoverWhere, atEnd: () => void): Response {
  const text = new TextEncoder();
  let stop: () => void = () => {};
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const write = (line: string): void => {
          if ((controller.desiredSize ?? 0) > 0) return controller.enqueue(text.encode(line));
          // What it missed it would never know.
          stop();
          controller.enqueue(text.encode('event: ended\ndata: {"why":"slow"}\n\n'));
          controller.close();
        };
        const unsubscribe = failover.onEvent(({ event, pool, level, text: said }) =>
          write(`event: failover\ndata: ${JSON.stringify({ event, pool, level, text: said })}\n\n`),
        );
        const stopAlive = options.every(aliveMs, () => write(': here\n\n'));
        stop = () => {
          unsubscribe();
          stopAlive();
          atEnd();
        };
        write(`event: begin\ndata: ${JSON.stringify({ pools: namesOf(failover) })}\n\n`);
      },
      cancel: () => stop(),
    },
    { highWaterMark: 1024 * 1024, size: (chunk) => chunk.byteLength },
  );
  return new Response(stream, { headers: { ...fixedFields, 'content-type': 'text/event-stream' } });
}
