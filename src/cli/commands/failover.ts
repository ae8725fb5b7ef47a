/** `evenkeel failover`: who is primary, and who shall be. */
import { type Command, Option } from 'commander';
import { CommandError, exitCode } from '../exit.ts';
import { drawFailover, drawHistory, drawPlan, isWriting } from '../failover-table.ts';
import { type AdminOptions, askHa, type Fields, queryOf, withAdmin } from '../ha-client.ts';

/** A switch waits for writes under way, for the fence and for hooks; each of them has a bound. */
const deedTimeoutMs = 130_000;

async function status(pool: string | undefined, options: AdminOptions): Promise<void> {
  const found = await askHa(options, { path: '/ha/failover' });
  const pools = Object.keys((found['pools'] ?? {}) as Fields);
  if (pool !== undefined && !pools.includes(pool))
    throw new CommandError(`there is no pool ${pool} with failover; known: ${pools.join(', ')}`, exitCode.failed);
  if (options.json !== true) process.stdout.write(drawFailover(found, pool ?? null));
  if (!isWriting(found, pool ?? null)) process.exitCode = exitCode.unhealthy;
}

const post = (options: AdminOptions, path: string, body: object): Promise<Fields> =>
  askHa(options, { method: 'POST', path: `/api/ha/failover${path}`, body, timeoutMs: deedTimeoutMs });

async function deed(options: AdminOptions, path: string, body: Fields): Promise<void> {
  const answer = await post(options, path, body);
  if (options.json !== true) process.stdout.write(drawPlan(String(body['pool'] ?? ''), answer));
}

interface DryRun extends AdminOptions {
  readonly dryRun?: true;
}
interface Switch extends DryRun {
  readonly to?: string;
  readonly at?: string;
  readonly force?: true;
  readonly acceptLoss?: string;
  readonly lost?: readonly string[];
}
interface History extends AdminOptions {
  readonly pool?: string;
  readonly limit: string;
}
interface OnOff extends AdminOptions {
  readonly pool?: string;
}

function lossOf(text: string | undefined): object {
  if (text === undefined) return {};
  if (/^\d{1,15}$/.test(text)) return { acceptLoss: Number(text) };
  throw new CommandError(`--accept-loss ${text}: write a number of positions`, exitCode.usage);
}

function momentOf(text: string | undefined): object {
  if (text === undefined) return {};
  const at = Date.parse(text);
  if (!Number.isNaN(at)) return { at: new Date(at).toISOString() };
  throw new CommandError(`--at ${text}: write a moment such as 2026-05-01T03:00:00Z`, exitCode.usage);
}

const dryRun = (): Option => new Option('--dry-run', 'only say who would win and why, and how long writes would pause');

function addSwitch(failover: Command): void {
  withAdmin(failover.command('switch'))
    .description('make another node primary: writes wait for it, none fails')
    .argument('<pool>')
    .option('--to <node>', 'this one (default: the fittest)')
    .option('--at <moment>', 'not now but then, such as 2026-05-01T03:00:00Z')
    .addOption(dryRun())
    .option(
      '--force',
      'also a node that the file would not choose, or that is far behind; never one that would lose writes',
    )
    .option('--accept-loss <positions>', 'a node that lacks up to so many of the acknowledged writes will do')
    .option('--lost <members...>', 'these members are gone for good, with whatever writes they still sent')
    .action((pool: string, options: Switch) =>
      deed(options, '', {
        pool,
        ...(options.to === undefined ? {} : { targetNodeId: options.to }),
        ...momentOf(options.at),
        dryRun: options.dryRun === true,
        force: options.force === true,
        ...lossOf(options.acceptLoss),
        ...(options.lost === undefined ? {} : { lost: options.lost }),
      }),
    );
}

export function addFailover(program: Command): void {
  const failover = program.command('failover').description('who is primary of a pool, and who shall be');
  withAdmin(failover.command('status'))
    .description('state, primary, epoch and nodes, as the asked member sees them; exits 3 if writes are not sent')
    .argument('[pool]')
    .action(status);
  addSwitch(failover);
  withAdmin(failover.command('failback'))
    .description('make the node primary again that the file names')
    .argument('<pool>')
    .addOption(dryRun())
    .action((pool: string, options: DryRun) => deed(options, '/failback', { pool, dryRun: options.dryRun === true }));
  withAdmin(failover.command('cancel'))
    .description('give up a switch that is planned')
    .argument('<pool>')
    .action((pool: string, options: AdminOptions) => deed(options, '/cancel', { pool }));
  withAdmin(failover.command('adopt'))
    .description('say who is primary, where the nodes disagree about it')
    .argument('<pool>')
    .argument('<node>')
    .action((pool: string, nodeId: string, options: AdminOptions) => deed(options, '/adopt', { pool, nodeId }));
  for (const word of ['enable', 'disable'] as const)
    withAdmin(failover.command(word))
      .description(`automatic failover ${word === 'enable' ? 'on' : 'off'}, for all members, also after a restart`)
      .argument('[pool]', 'of this pool (default: of all)')
      .action((pool: string | undefined, options: OnOff) =>
        deed(options, `/${word}`, pool === undefined ? {} : { pool }),
      );
  withAdmin(failover.command('history'))
    .description('what happened, oldest first')
    .argument('[pool]')
    .option('--limit <events>', 'the newest so many', '100')
    .action(async (pool: string | undefined, options: History) => {
      const query = queryOf({ pool, limit: options.limit });
      const answer = await askHa(options, { path: `/api/ha/failover/history${query}` });
      if (options.json !== true) process.stdout.write(drawHistory(answer));
    });
}
