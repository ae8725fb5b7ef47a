/** `evenkeel version` and `evenkeel --version`. */
import type { Command } from 'commander';
import { ownVersion } from '../../app/version.ts';

export function addVersion(program: Command): void {
  program
    .command('version')
    .description('print the version')
    .option('--json', "as JSON, with Node's version")
    .action((options: { readonly json?: true }) => {
      const version = ownVersion();
      const facts = { evenkeel: version, node: process.versions.node };
      process.stdout.write(`${options.json === true ? JSON.stringify(facts) : version}\n`);
    });
}
