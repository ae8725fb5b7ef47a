/** From a file's name to a config: text, meaning, certificates. What `check` calls, and ready.ts for `run` and reloads. */
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
  options: LoadFileOptions,
): Promise<Result<LoadedFile, readonly Problem[]>> {
  const text = await readConfigText(file);
  return text.ok ? loadConfigText(text.value, { ...options, file }) : text;
}

export async function readConfigText(file: string): Promise<Result<string, readonly Problem[]>> {
  const text = await readText(file);
  return text.ok ? text : err([wholeFile(file, text.error)]);
}

/** What stands in the file is known already. */
export async function loadConfigText(
  text: string,
  { file, env, now }: LoadFileOptions & { readonly file: string },
): Promise<Result<LoadedFile, readonly Problem[]>> {
  const loaded = loadConfig(text, { file, env });
  if (!loaded.ok) return loaded;
  const tls = await readTls(loaded.value, now);
  if (!tls.ok) return tls;
  const warnings = [...loaded.value.warnings, ...tls.value.warnings];
  return ok({ ...loaded.value, ...tls.value, warnings, text });
}

/** A problem of the file that stands at no place in it. */
export function wholeFile(file: string, message: string): Problem {
  return { file, line: 0, column: 0, path: '', message, hint: null, source: '', severity: 'error' };
}
