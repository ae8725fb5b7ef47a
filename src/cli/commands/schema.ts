/** `evenkeel schema`: the JSON schema of the config, for editors. */
import type { Command } from 'commander';

export function addSchema(program: Command): void {
  program
    .command('schema')
    .description('print the JSON schema of the config file, for editors and other tools')
    .action(async () => {
      const { renderJsonSchema } = await import('../../config/json-schema.ts');
      process.stdout.write(renderJsonSchema());
    });
}
