/** The paths of failover. Where no pool has it each of them is a 404 that says so. */
import type { Context } from 'hono';
import type { Endpoint, Method } from '../endpoint.ts';
import { type ProblemAnswer, problemResponse } from '../problem.ts';
import {
  adopt,
  cancel,
  type FailoverWhere,
  failback,
  failoverEvents,
  failoverHistory,
  failoverStatus,
  patchNode,
  primaryCheck,
  replicaCheck,
  setAutomatic,
  switchPrimary,
} from './failover.ts';
import { type HaOptions, HeldOpen } from './room.ts';

const noFailover: ProblemAnswer = {
  status: 404,
  title: 'No failover',
  detail: 'no pool of this config has `failover:`, so no node of it is primary',
};

const starting: ProblemAnswer = {
  status: 503,
  title: 'Starting',
  detail: 'what is agreed on is not read yet: ask again soon',
  extra: { reason: 'starting', retryAfterSeconds: 1 },
};

/** Streams that stay open. */
const streamsMax = 64;

export function failoverEndpoints(options: HaOptions): readonly Endpoint[] {
  type Handle = (where: FailoverWhere) => Response | Promise<Response>;
  const held = new HeldOpen(streamsMax);
  const wrapped =
    (handle: Handle) =>
    (context: Context): Response | Promise<Response> => {
      const { failover } = options.actions;
      if (failover === 'starting') return problemResponse(starting);
      return failover === undefined ? problemResponse(noFailover) : handle({ failover, context });
    };
  const at = (method: Method, path: string, what: string, handle: Handle): Endpoint => ({
    ...{ method, path, what },
    handle: wrapped(handle),
  });
  return [
    at('GET', '/ha/failover', 'each pool with failover: state, primary, epoch, nodes', failoverStatus),
    at('GET', '/ha/primary/:pool', 'for balancers: 200 if it has a primary that takes writes; ?node=', primaryCheck),
    at('GET', '/ha/replica/:pool/:node', 'for balancers: 200 if that node is a replica that is up', replicaCheck),
    at('POST', '/api/ha/failover', 'switch the primary: {"pool": NAME, "targetNodeId", "at", "dryRun"}', (where) =>
      switchPrimary(options, where),
    ),
    at('GET', '/api/ha/failover/history', 'what happened, oldest first: ?pool=, ?after=, ?limit=', failoverHistory),
    at('GET', '/api/ha/failover/events', 'what happens, as server-sent events', (where) => {
      const entered = held.enter();
      return entered.ok ? failoverEvents(options, where, entered.value) : problemResponse(entered.error);
    }),
    at('POST', '/api/ha/failover/failback', 'back to the node that the file wants: {"pool": NAME}', (where) =>
      failback(options, where),
    ),
    at('POST', '/api/ha/failover/cancel', 'give up a planned switch: {"pool": NAME}', (where) =>
      cancel(options, where),
    ),
    at('POST', '/api/ha/failover/adopt', 'say who is primary: {"pool": NAME, "nodeId": ID}', (where) =>
      adopt(options, where),
    ),
    at('POST', '/api/ha/failover/enable', 'automatic failover on: {} or {"pool": NAME}', (where) =>
      setAutomatic(options, where, true),
    ),
    at('POST', '/api/ha/failover/disable', 'automatic failover off: {} or {"pool": NAME}', (where) =>
      setAutomatic(options, where, false),
    ),
    at('PATCH', '/api/ha/nodes/:node', 'role and priority of a node: {"role", "priority", "pool"}', (where) =>
      patchNode(options, where),
    ),
  ];
}
