/** `evenkeel witness`: a member that votes and keeps the log, and carries no traffic, from the file of the others. */
import type { Command } from 'commander';
import { findConfig } from '../config-file.ts';
import { CommandError, exitCode } from '../exit.ts';

interface Options {
  readonly config?: string;
}

async function witness(options: Options): Promise<void> {
  const file = findConfig(options.config);
  // As if the file said so; a reload finds it, too.
  process.env['CLUSTER_WITNESS'] = 'true';
  const { loadConfigFile } = await import('../../config/io/load.ts');
  const loaded = await loadConfigFile(file, { env: process.env, now: new Date() });
  if (loaded.ok && loaded.value.config.cluster === null) {
    const what = `${file} has no cluster, so there is nothing to be a witness of. Add cluster: with member, address, seeds and expect.`;
    throw new CommandError(what, exitCode.failed);
  }
  const { runToEnd, startApp } = await import('../start.ts');
  const app = await startApp({ file });
  process.exit(await runToEnd(app));
}

export function addWitness(program: Command): void {
  program
    .command('witness')
    .description("run a member that only votes: the file's cluster, without its listeners and routes")
    .option('-c, --config <file>', 'config file (default: ./config.yaml, then /etc/evenkeel/config.yaml)')
    .action(witness);
}
