/** `evenkeel schema`: the JSON schema of the config, for editors. */
import type { Command } from 'commander';
import { renderJsonSchema } from '../../config/json-schema.ts';

export function addSchema(program: Command): void {
  program
    .command('schema')
    .description('print the JSON schema of the config file, for editors and other tools')
    .action(() => void process.stdout.write(renderJsonSchema()));
}
