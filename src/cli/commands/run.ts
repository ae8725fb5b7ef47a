/** `evenkeel run`: the proxy itself, from a file or, for a quick start, from flags alone. */
import type { Command } from 'commander';
import type { ConfigFlags } from '../../config/flags.ts';
import { findConfig, writeProblems } from '../config-file.ts';
import { CommandError, exitCode } from '../exit.ts';
import type { ConfigSource } from '../start.ts';

type Options = Partial<ConfigFlags> & { readonly config?: string };

async function sourceOf({ config, ...flags }: Options): Promise<ConfigSource> {
  const given = Object.keys(flags).length > 0;
  if (config !== undefined && given) {
    throw new CommandError('Give either a file with -c, or --to and its companions, not both.', exitCode.usage);
  }
  if (!given) return { file: findConfig(config) };
  const { configFromFlags } = await import('../../config/flags.ts');
  const loaded = configFromFlags({ ...flags, to: flags.to ?? [] });
  if (loaded.ok) return { config: loaded.value };
  writeProblems(process.stderr, loaded.error);
  throw new CommandError('evenkeel did not start: its arguments have problems', exitCode.usage);
}

async function run(options: Options): Promise<void> {
  const source = await sourceOf(options);
  const { runToEnd, startApp } = await import('../start.ts');
  const app = await startApp(source);
  process.exit(await runToEnd(app));
}

const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];

export function addRun(program: Command): void {
  program
    .command('run')
    .description('run the proxy, from a config file or from flags alone')
    .option('-c, --config <file>', 'config file (default: ./config.yaml, then /etc/evenkeel/config.yaml)')
    .option('--to <url>', 'a node to send requests to, instead of a file; may be given several times', collect)
    .option('--listen <address>', 'with --to: where to listen, like :8080; may be given several times', collect)
    .option('--admin <address>', 'with --to: address of the admin API')
    .option('--balance <algorithm>', 'with --to: least-connections, round-robin, ...')
    .option('--health <path>', 'with --to: path of the health check, or off (default: a connection is tried)')
    .option('--workers <number>', 'with --to: data threads, or auto')
    .option('--log-level <level>', 'with --to: fatal, error, warn, info, debug or trace')
    .option('--access <format>', 'with --to: access log as json, combined or off')
    .action(run);
}
