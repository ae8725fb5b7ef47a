/** `evenkeel cluster recover | restore`: on the data folder of a member that does not run. */
import type { Command } from 'commander';
import type { BegunShown, Counts, HoldingShown } from '../../app/stopped-member.ts';
import type { Result } from '../../base/result.ts';
import { count, findConfig, writeProblems } from '../config-file.ts';
import { CommandError, exitCode } from '../exit.ts';
import { printJson } from '../ha-client.ts';

export interface FolderOptions {
  readonly config?: string;
  readonly dataDir?: string;
  readonly json?: true;
}

export const withFolder = (command: Command): Command =>
  command
    .option(
      '-c, --config <file>',
      'config whose dataDir is meant (default: ./config.yaml, then /etc/evenkeel/config.yaml)',
    )
    .option('--data-dir <folder>', 'the data folder itself, in place of a config');

/** The data folder that is meant. */
export async function folderOf({ config, dataDir }: FolderOptions): Promise<string> {
  if (dataDir !== undefined) return dataDir;
  const file = findConfig(config);
  const { loadConfigFile } = await import('../../config/io/load.ts');
  const loaded = await loadConfigFile(file, { env: process.env, now: new Date() });
  if (loaded.ok) return loaded.value.config.dataDir;
  writeProblems(process.stderr, loaded.error);
  throw new CommandError('The config has problems. --data-dir names the folder without one.', exitCode.failed);
}

export function good<T>(result: Result<T, string>): T {
  if (result.ok) return result.value;
  throw new CommandError(result.error, exitCode.failed);
}

export const countsText = ({ keys, locks, leases }: Counts): string =>
  [count(keys, 'key'), count(locks, 'lock'), count(leases, 'lease')].join(', ');

export function holdingText(folder: string, { uid, cluster, voters, last, open, counts }: HoldingShown): string {
  const doubt =
    open === 0
      ? ''
      : `\n  of its last ${count(open, 'entry').replace(/entrys$/, 'entries')} it is not known here whether they were committed`;
  return `${folder}: member ${uid} of cluster ${cluster}, of ${count(voters.length, 'voter')}
  its log ends with term ${last.term}, entry ${last.index}${last.at === null ? '' : `, written ${last.at}`}${doubt}
  it holds ${countsText(counts)}
`;
}

const nextSteps = `Start this member with its config. Empty the data folder of each former member before it is started: then it joins
this cluster, and takes its seat by itself. With its old folder it is refused, as one of another cluster.
`;

interface RecoverOptions extends FolderOptions {
  readonly iAmTheOnlyOne?: true;
}

async function recover(options: RecoverOptions): Promise<void> {
  const folder = await folderOf(options);
  const { lookInto, recoverIn } = await import('../../app/stopped-member.ts');
  const before = good(lookInto(folder));
  if (options.json !== true) process.stdout.write(holdingText(folder, before));
  if (options.iAmTheOnlyOne !== true) {
    if (options.json === true) printJson({ recovered: false, before });
    else process.stdout.write(`\n${advice}`);
    process.exitCode = exitCode.failed;
    return;
  }
  const after = good(recoverIn(folder));
  if (options.json === true) return printJson({ recovered: true, before, after });
  process.stdout.write(`
Now it is the only member of the new cluster ${after.cluster}. Lost may be: what other members acknowledged after
term ${before.last.term}, entry ${before.last.index}. Taken over may be: writes at its end that were answered as failed or unknown.
${poolsText(after)}${nextSteps}`);
}

const advice = `Nothing was changed. If a majority of the voters is lost for ever, run this on each member that is left, go on with
the one whose log ends with the highest term, and of these the highest entry; what others acknowledged after it is lost.
There, and with no member running anywhere: evenkeel cluster recover --i-am-the-only-one
`;

/** A failover that nobody here knows of may have made another one primary. */
function poolsText({ pools }: BegunShown): string {
  if (pools.length === 0) return '';
  const lines = pools.map(({ pool, epoch, primary, last }) =>
    primary === null
      ? `  pool ${pool}: nobody is primary${last === null ? '' : `, it was ${last}`}; say who is: evenkeel failover adopt ${pool} NODE\n`
      : `  pool ${pool}: ${primary}, in epoch ${epoch}\n`,
  );
  return `Primaries, as far as this state knows; make sure of each before writes go there:\n${lines.join('')}`;
}

const begunText = ({ cluster, counts }: BegunShown): string =>
  `It holds ${countsText(counts)}, as the new cluster ${cluster}.\n`;

async function restore(file: string, options: FolderOptions): Promise<void> {
  const folder = await folderOf(options);
  const { restoreInto } = await import('../../app/stopped-member.ts');
  const { of, ...after } = good(restoreInto(folder, file));
  const { bytes: _, ...backup } = of;
  if (options.json === true) return printJson({ restored: true, backup, after });
  process.stdout.write(`${folder}: restored from ${file}, taken ${backup.takenAt} of cluster ${backup.cluster}
${begunText(after)}What was written after the backup was taken is not in it.
${poolsText(after)}${nextSteps}`);
}

export function addStopped(cluster: Command): void {
  withFolder(cluster.command('recover'))
    .description('when a majority is lost for ever: make a stopped member the only one of a new cluster')
    .option('--i-am-the-only-one', 'do it; without this only say what the folder holds, and exit 1')
    .option('--json', 'print what there was and is as JSON')
    .action(recover);
  withFolder(cluster.command('restore'))
    .description('put a backup into the empty data folder of a stopped member, as the only one of a new cluster')
    .argument('<file>', 'the backup')
    .option('--json', 'print what became of it as JSON')
    .action(restore);
}
