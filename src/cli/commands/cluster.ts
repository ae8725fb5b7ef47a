/** `evenkeel cluster`: what a member says of its cluster, and what may be done to the members. */
import type { Command } from 'commander';
import { drawCluster, drawMembers } from '../cluster-table.ts';
import { exitCode } from '../exit.ts';
import { type AdminOptions, askHa, type Fields, queryOf, withAdmin } from '../ha-client.ts';
import { addBackup } from './cluster-backup.ts';
import { addStopped } from './cluster-stopped.ts';

/** Handing over, catching up and leaving may take as long as the members need to hear of it. */
const deedTimeoutMs = 30_000;

async function show(options: AdminOptions, draw: (cluster: Fields) => string): Promise<void> {
  const cluster = await askHa(options, { path: '/api/ha/cluster' });
  if (options.json !== true) process.stdout.write(draw(cluster));
  if (cluster['quorum'] !== true) process.exitCode = exitCode.unhealthy;
}

async function deed(
  options: AdminOptions,
  { path, body, done }: { readonly path: string; readonly body: object; readonly done: string },
): Promise<void> {
  const ask = { method: 'POST', path: `/api/ha/cluster/${path}`, body, timeoutMs: deedTimeoutMs } as const;
  await askHa(options, ask);
  if (options.json !== true) process.stdout.write(`${done}\n`);
}

interface Events extends AdminOptions {
  readonly limit: string;
  readonly after?: string;
}

async function events(options: Events): Promise<void> {
  const path = `/api/ha/events${queryOf({ limit: options.limit, after: options.after })}`;
  const { events: found } = await askHa(options, { path });
  if (options.json === true) return;
  for (const { number, at, topic, subject, text } of Array.isArray(found) ? (found as Fields[]) : [])
    process.stdout.write(`${[number, at, topic, subject, text].map(String).join('\t')}\n`);
}

interface Transfer extends AdminOptions {
  readonly to?: string;
}
interface Leave extends AdminOptions {
  readonly keepSeat?: true;
}
interface Change extends AdminOptions {
  readonly force?: true;
}

const change = (what: 'add' | 'remove', done: string) => (name: string, options: Change) =>
  deed(options, {
    path: 'members',
    body: { [what]: name, force: options.force === true },
    done: `${name} ${done}`,
  });

export function addCluster(program: Command): void {
  const cluster = program.command('cluster').description('look at the cluster, and change it');
  withAdmin(cluster.command('status'))
    .description('state, leader, quorum and members, as the asked member sees them; exits 3 without a quorum')
    .action((options: AdminOptions) => show(options, drawCluster));
  withAdmin(cluster.command('members'))
    .description('the members alone; exits 3 without a quorum')
    .action((options: AdminOptions) => show(options, drawMembers));
  withAdmin(cluster.command('events'))
    .description('what happened, oldest first: locks that were lost, changes of primaries')
    .option('--limit <number>', 'the newest so many', '100')
    .option('--after <number>', 'of an event: only later ones')
    .action(events);
  withAdmin(cluster.command('transfer'))
    .description('hand leadership on')
    .option('--to <member>', 'to this one (default: the fittest)')
    .action((options: Transfer) =>
      deed(options, {
        path: 'transfer',
        body: options.to === undefined ? {} : { to: options.to },
        done: `leadership is handed to ${options.to ?? 'the fittest'}`,
      }),
    );
  withAdmin(cluster.command('leave'))
    .description('the asked member leaves the cluster for good, and its process ends')
    .option('--keep-seat', 'it only says goodbye: it keeps its vote and may come back')
    .action((options: Leave) =>
      deed(options, { path: 'leave', body: { forGood: options.keepSeat !== true }, done: 'it has left' }),
    );
  withAdmin(cluster.command('add'))
    .description('take a member in that is known already and waits')
    .argument('<member>', 'its name')
    .action(change('add', 'is taken in'));
  withAdmin(cluster.command('remove'))
    .description('take the seat of a member that does not come back')
    .argument('<member>', 'its name')
    .option('--force', 'even if the others could not commit now, or it was one of two')
    .action(change('remove', 'is removed'));
  addBackup(cluster);
  addStopped(cluster);
}
