/** The paths of the cluster. Without a cluster each of them is a 404 that says so. */

import type { Context } from 'hono';
import type { Endpoint, Method } from '../endpoint.ts';
import type { HaActions } from './actions.ts';
import { takeBackup } from './backup.ts';
import { changeMembers, leave, see, transfer } from './cluster.ts';
import { listEvents } from './events.ts';
import { grantLease, keepLease, revokeLease } from './leases.ts';
import { acquireLock, extendLock, getLock, releaseLock } from './locks.ts';
import { type HaOptions, HeldOpen, withHa } from './room.ts';
import { casKey, deleteKey, getKey, listKeys, putKey } from './state.ts';
import { clusterShown, replicationShown, statusShown } from './view.ts';
import { watchKeys } from './watch.ts';

/** Half of the connections that the API takes. */
const heldOpenMax = 128;

export const isHaPath = (path: string): boolean => path.startsWith('/api/ha/') || path.startsWith('/ha/');

export function haEndpoints(options: HaOptions): readonly Endpoint[] {
  const held = new HeldOpen(heldOpenMax);
  type Handle = (ha: HaActions, context: Context) => Response | Promise<Response>;
  const at = (method: Method, path: string, about: { readonly what: string; readonly handle: Handle }): Endpoint => ({
    ...{ method, path, what: about.what },
    handle: withHa(options, about.handle),
  });
  const get = (path: string, what: string, handle: Handle): Endpoint => at('GET', path, { what, handle });
  return [
    get('/ha/status', 'the cluster in short, as this member sees it', (ha, context) => see(ha, context, statusShown)),
    get('/ha/replication', 'how far each member is behind', (ha, context) => see(ha, context, replicationShown)),
    get('/api/ha/status', 'the same as /ha/status', (ha, context) => see(ha, context, statusShown)),
    get('/api/ha/cluster', 'all members: state and why, who sees whom, lag', (ha, context) =>
      see(ha, context, clusterShown),
    ),
    at('POST', '/api/ha/cluster/transfer', {
      what: 'hand leadership on: {} or {"to": "node-2"}',
      handle: (ha, context) => transfer(options, { ha, context }),
    }),
    at('POST', '/api/ha/cluster/leave', {
      what: 'this member leaves for good and ends; {"forGood": false}: it keeps its seat',
      handle: (ha, context) => leave(options, { ha, context }),
    }),
    at('POST', '/api/ha/cluster/members', {
      what: 'change who votes: {"add": NAME}, {"promote": NAME} or {"remove": NAME, "force": false}',
      handle: (ha, context) => changeMembers(options, { ha, context }),
    }),
    get('/api/ha/cluster/backup', 'all of the agreed state, as a file', takeBackup),
    get('/api/ha/state', 'keys by ?prefix=', listKeys),
    get('/api/ha/state/:key', 'one key', getKey),
    at('PUT', '/api/ha/state/:key', {
      what: 'set a key: {"value": ...}',
      handle: (ha, context) => putKey(options, ha, context),
    }),
    at('DELETE', '/api/ha/state/:key', {
      what: 'delete a key',
      handle: (ha, context) => deleteKey(options, ha, context),
    }),
    at('POST', '/api/ha/state/:key/cas', {
      what: 'set a key if it is as expected: {"value": ..., "revision": 7} or {"value": ..., "expected": ...}',
      handle: (ha, context) => casKey(options, ha, context),
    }),
    at('POST', '/api/ha/leases', {
      what: 'grant a lease: {"ttlMs": 30000}',
      handle: (ha, context) => grantLease(options, ha, context),
    }),
    at('PUT', '/api/ha/leases/:lease', {
      what: 'keep a lease alive for another of its spans',
      handle: (ha, context) => keepLease(options, ha, context),
    }),
    at('DELETE', '/api/ha/leases/:lease', { what: 'end a lease, and delete its keys', handle: revokeLease }),
    get('/api/ha/locks/:name', 'who has a lock, and who waits', getLock),
    at('POST', '/api/ha/locks/:name', {
      what: 'acquire a lock: {"owner": NAME, "ttlMs": 30000, "waitMs": 0}',
      handle: (ha, context) => acquireLock(options, held, { ha, context }),
    }),
    at('PUT', '/api/ha/locks/:name', {
      what: 'extend a lock: {"token": N, "ttlMs": 30000}',
      handle: (ha, context) => extendLock(options, ha, context),
    }),
    at('DELETE', '/api/ha/locks/:name', {
      what: 'release a lock: {"token": N}; or all of an owner: {"owner": NAME}',
      handle: (ha, context) => releaseLock(options, ha, context),
    }),
    get('/api/ha/events', 'what happened, oldest first: ?topic=, ?after=, ?limit=', listEvents),
    get('/api/ha/watch', 'changes of keys by ?prefix=, as server-sent events', (ha, context) =>
      watchKeys(options, held, { ha, context }),
    ),
  ];
}
