/** From a file's name to a config that is ready to run: text, meaning, certificates. What `run`, `check` and a reload call. */
import { err, ok, type Result } from '../../base/result.ts';
import type { Env } from '../expand.ts';
import { type LoadedConfig, loadConfig } from '../load.ts';
import type { Problem } from '../model.ts';
import { readTls, type TlsRead } from './files.ts';
import { readText } from './read.ts';

export interface LoadedFile extends LoadedConfig {
  /** What stood in the files of each listener's TLS, by its name. */
  readonly tls: TlsRead['tls'];
  readonly upstreamTls: TlsRead['upstreamTls'];
  /** The files that the config names and what was read of them, for somebody to watch. */
  readonly files: TlsRead['files'];
  /** The file's text, for `watchConfig` to know what is in force. */
  readonly text: string;
}

export interface LoadFileOptions {
  readonly env: Env;
  /** Wall clock, for the dates of certificates. */
  readonly now: Date;
}

export async function loadConfigFile(
  file: string,
  { env, now }: LoadFileOptions,
): Promise<Result<LoadedFile, readonly Problem[]>> {
  const text = await readText(file);
  if (!text.ok) return err([unreadable(file, text.error)]);
  const loaded = loadConfig(text.value, { file, env });
  if (!loaded.ok) return loaded;
  const tls = await readTls(loaded.value, now);
  if (!tls.ok) return tls;
  const warnings = [...loaded.value.warnings, ...tls.value.warnings];
  return ok({ ...loaded.value, ...tls.value, warnings, text: text.value });
}

function unreadable(file: string, message: string): Problem {
  return { file, line: 0, column: 0, path: '', message, hint: null, source: '', severity: 'error' };
}
