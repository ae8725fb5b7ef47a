/** A backup of the agreed state while the member runs: captured at once, turned into bytes between other work. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ok, type Result } from '../../base/result.ts';
import type { Consistency, CoordinatorError } from '../coordinator.ts';
import { Capture } from '../replica/snapshot.ts';
import { packBackup } from './backup.ts';
import type { MemberCoordinator } from './coordinator.ts';
import type { MemberHost } from './member-host.ts';

/** Bytes that are made in one turn of the event loop. */
const sliceBytes = 256 * 1024;

/** The file's contents, in order. `eventual`: what this member has, without asking anybody. */
export async function backupNow(
  { host, coordinator }: { readonly host: MemberHost; readonly coordinator: MemberCoordinator },
  consistency: Consistency,
): Promise<Result<readonly Uint8Array[], CoordinatorError>> {
  const fresh = await coordinator.ready(consistency);
  if (!fresh.ok) return fresh;
  const { index, term } = host.replica;
  const parts: Uint8Array[] = [];
  for (const slice of new Capture(host.replica).slices(sliceBytes)) {
    parts.push(slice);
    await nextTurn();
  }
  const cluster = host.status().cluster ?? '';
  const takenAt = new Date().toISOString();
  return ok(packBackup({ cluster, index, term, takenAt, bytes: Buffer.concat(parts) }));
}
