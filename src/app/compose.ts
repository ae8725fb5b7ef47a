/**
 * Ties every room to the others and starts them, in this order:
 *
 *   config valid -> admin API open -> cluster's address open (its quorum comes when it comes) -> ports free
 *   -> health begins, data threads start
 *   -> first round of health done (or 1.5 s passed) -> listeners open
 *
 * If one of these fails, all that had begun is ended, and the failure says in words what to do.
 */
import { randomInt } from 'node:crypto';
import { seededRandom } from '../base/random.ts';
import { err, ok, type Result } from '../base/result.ts';
import type { Env } from '../config/expand.ts';
import { readyConfig, readyFile } from '../config/io/ready.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Problem } from '../config/model.ts';
import { problemLine } from '../config/render-problems.ts';
import { App, type Load } from './app.ts';
import { Control } from './control.ts';
import { createLog, type Log } from './log.ts';
import { reusePortWorks } from './ports.ts';
import { ownVersion } from './version.ts';

export type ComposeOptions = {
  /** Gets the config's level, now and at each reload. Default: createLog(). */
  readonly log?: Log;
  /** Of the data threads, for tests; default: the engine's. */
  readonly threadEntry?: URL;
} & (
  | { readonly file: string; readonly env: Env }
  /** A config that was not read from a file; a reload finds it unchanged, but reads its certificates again. */
  | { readonly config: LoadedConfig }
);

/** `config`: all problems of the config. `start`: lines, each with what, where and what to do. */
export type StartFailure =
  | { readonly kind: 'config'; readonly problems: readonly Problem[] }
  | { readonly kind: 'start'; readonly lines: readonly string[] };

/** A running evenkeel, listening. Nothing is left running after a failure. */
export async function compose(options: ComposeOptions): Promise<Result<App, StartFailure>> {
  const load = loader(options);
  const loaded = await load();
  if (!loaded.ok) return err({ kind: 'config', problems: loaded.error });
  const { config, warnings } = loaded.value;
  const log = options.log ?? createLog(config.log.level);
  log.setLevel(config.log.level);
  for (const warning of warnings) log.warn(problemLine(warning), { event: 'config-warning' });
  const reusePort = await reusePortWorks();
  if (!reusePort)
    log.warn(
      'this system cannot share a port between threads (SO_REUSEPORT): one data thread, whatever `workers` says',
    );
  const control = new Control({
    loaded: loaded.value,
    log,
    random: seededRandom(randomInt(0x7fffffff)),
    reusePort,
    ...(options.threadEntry === undefined ? {} : { threadEntry: options.threadEntry }),
  });
  const file = 'file' in options ? options.file : null;
  const app = new App({ control, load, file, log, version: ownVersion() });
  const started = await app.start();
  if (!started.ok) {
    await app.close();
    return err({ kind: 'start', lines: started.error });
  }
  return ok(app);
}

function loader(options: ComposeOptions): Load {
  if ('file' in options) return () => readyFile(options.file, { env: options.env, now: new Date() });
  const { config } = options;
  return () => readyConfig(config, new Date());
}
