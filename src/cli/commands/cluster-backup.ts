/** `evenkeel cluster backup`: the agreed state as a file, from a running member or from the folder of a stopped one. */
import { type Command, Option } from 'commander';
import { readBytes } from '../admin-client.ts';
import { type AdminOptions, doneOf, printJson, queryOf, targetOf, withAdmin } from '../ha-client.ts';
import { countsText, type FolderOptions, folderOf, good, withFolder } from './cluster-stopped.ts';

interface Options extends AdminOptions, Omit<FolderOptions, 'json'> {
  readonly offline?: true;
  readonly consistency?: string;
}

async function backup(file: string, options: Options): Promise<void> {
  return options.offline === true ? fromFolder(file, options) : fromMember(file, options);
}

async function fromMember(file: string, options: Options): Promise<void> {
  const path = `/api/ha/cluster/backup${queryOf({ consistency: options.consistency })}`;
  const answer = await readBytes(targetOf(options), path);
  if (!Buffer.isBuffer(answer)) return void doneOf(answer, options);
  const { keepBackup } = await import('../../app/stopped-member.ts');
  const { bytes, ...about } = good(keepBackup(file, answer));
  if (options.json === true) return printJson({ file, ...about, size: bytes.byteLength });
  process.stdout.write(`${file}: cluster ${about.cluster} up to entry ${about.index} of term ${about.term}\n`);
}

async function fromFolder(file: string, options: Options): Promise<void> {
  const folder = await folderOf(options);
  const { backUp } = await import('../../app/stopped-member.ts');
  const { cluster, last, counts } = good(backUp(folder, file));
  if (options.json === true) return printJson({ file, cluster, index: last.index, term: last.term, counts });
  process.stdout.write(
    `${file}: cluster ${cluster} up to entry ${last.index} of term ${last.term}, ${countsText(counts)}\n`,
  );
}

export function addBackup(cluster: Command): void {
  const command = withAdmin(cluster.command('backup'))
    .description('write all of the agreed state to a file: of a running member, with --offline of a stopped one')
    .argument('<file>', 'is replaced if it is there')
    .addOption(
      new Option('--consistency <kind>', 'quorum; eventual: as this member has it').choices(['quorum', 'eventual']),
    )
    .option('--offline', 'from the data folder of a member that does not run');
  withFolder(command).action(backup);
}
