/**
 * From a config to a running evenkeel, with every reason why not told on standard error.
 * Used by run and demo, which load it only then: it brings everything along, and the other commands start without.
 */
import type { App } from '../app/app.ts';
import { type ComposeOptions, compose } from '../app/compose.ts';
import { writeProblems } from './config-file.ts';
import { CommandError, exitCode } from './exit.ts';

export { runToEnd } from '../app/lifecycle.ts';

export type ConfigSource = { readonly file: string } | Extract<ComposeOptions, { readonly config: unknown }>;

/** Rejects with a CommandError if the config is bad or an address is taken; nothing is left running then. */
export async function startApp(source: ConfigSource): Promise<App> {
  // A reload asked for before there is anything to reload: without a handler it would end the process.
  process.on('SIGHUP', () => {});
  // Told to end before it serves anybody: nothing is to be drained, and that is no failure.
  const end = (): never => process.exit(exitCode.ok);
  process.on('SIGTERM', end).on('SIGINT', end);
  const started = await compose('file' in source ? { file: source.file, env: process.env } : source);
  // Whoever runs the app takes them over in this same turn.
  process.off('SIGTERM', end).off('SIGINT', end);
  if (started.ok) return started.value;
  if (started.error.kind === 'start') throw new CommandError(started.error.lines.join('\n'), exitCode.failed);
  writeProblems(process.stderr, started.error.problems);
  throw new CommandError('evenkeel did not start: the config has problems', exitCode.failed);
}
