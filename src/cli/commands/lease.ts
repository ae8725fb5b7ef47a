/** `evenkeel lease`: spans of time for keys that shall go when nobody keeps them alive (`state set --lease`). */
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../base/units.ts';
import { type AdminOptions, askHa, withAdmin } from '../ha-client.ts';

const ttlMax = 30 * 86_400_000;

function duration(given: string): number {
  const parsed = parseDuration(given);
  if (!parsed.ok) throw new InvalidArgumentError(`It ${parsed.error}.`);
  if (parsed.value > 0 && parsed.value <= ttlMax) return parsed.value;
  throw new InvalidArgumentError('It must be more than 0, and 30 days at most.');
}

const path = (lease: string): string => `/api/ha/leases/${encodeURIComponent(lease)}`;

async function grant(ttlMs: number, options: AdminOptions): Promise<void> {
  const { lease } = await askHa(options, { method: 'POST', path: '/api/ha/leases', body: { ttlMs } });
  if (options.json !== true) process.stdout.write(`${String(lease)}\n`);
}

interface KeepOptions extends AdminOptions {
  readonly every?: number;
}

async function keep(lease: string, options: KeepOptions): Promise<void> {
  for (;;) {
    const { expiresAt } = await askHa(options, { method: 'PUT', path: path(lease), body: {} });
    if (options.json !== true && options.every === undefined) process.stdout.write(`${String(expiresAt)}\n`);
    if (options.every === undefined) return;
    await pause(options.every);
  }
}

async function revoke(lease: string, options: AdminOptions): Promise<void> {
  await askHa(options, { method: 'DELETE', path: path(lease) });
  if (options.json !== true) process.stdout.write(`lease ${lease} has ended, and its keys are deleted\n`);
}

export function addLease(program: Command): void {
  const lease = program
    .command('lease')
    .description('spans of time for keys that shall go when nobody keeps them alive');
  withAdmin(lease.command('grant'))
    .description('grant a lease; prints its number, for state set --lease')
    .argument('<ttl>', 'it ends after so long, such as 30s, if it is not kept alive', duration)
    .action(grant);
  withAdmin(lease.command('keep-alive'))
    .description('keep a lease alive; prints until when. Exits 1 if there is no such lease any more')
    .argument('<lease>', 'its number')
    .option('--every <duration>', 'again and again, until it is gone or this command is ended', duration)
    .action(keep);
  withAdmin(lease.command('revoke'))
    .description('end a lease, and delete its keys; exits 1 if there is no such lease')
    .argument('<lease>', 'its number')
    .action(revoke);
}
