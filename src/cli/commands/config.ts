/** `evenkeel config print`: each value in force, and where it came from: file and line, environment, default. */
import type { Command } from 'commander';
import { findConfig, writeProblems } from '../config-file.ts';
import { exitCode } from '../exit.ts';

interface Options {
  readonly config?: string;
  readonly json?: true;
}

async function print(options: Options): Promise<void> {
  const file = findConfig(options.config);
  const { loadConfigFile } = await import('../../config/io/load.ts');
  const loaded = await loadConfigFile(file, { env: process.env, now: new Date() });
  if (!loaded.ok) {
    writeProblems(process.stderr, loaded.error);
    process.exitCode = exitCode.failed;
    return;
  }
  const { plainConfig, renderConfig } = await import('../../config/print.ts');
  const json = (): string => `${JSON.stringify(plainConfig(loaded.value), null, 2)}\n`;
  process.stdout.write(options.json === true ? json() : renderConfig(loaded.value));
}

export function addConfig(program: Command): void {
  program
    .command('config')
    .description('look into a config')
    .command('print')
    .description('print every value in force and where it came from, defaults included; secrets are left out')
    .option('-c, --config <file>', 'the file (default: ./config.yaml, then /etc/evenkeel/config.yaml)')
    .option('--json', 'as JSON, without the origins')
    .action(print);
}
