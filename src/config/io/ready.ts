/**
 * A config that is ready to run, as start and reload take it. Reading a large one takes seconds, in which the thread
 * that does it can do nothing else, and the control thread renews leases and answers heartbeats: so it is done apart.
 *
 *   file --read once--> text, up to 32 KiB: read here, some 20 ms
 *                            larger:        a thread of its own --one message--> ReadyConfig     (ready-worker.ts)
 *
 * What places in the file are needed for (problems, `config print`) is used up before: a ReadyConfig has none.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { err, ok, type Result } from '../../base/result.ts';
import { freeze, type LoadedConfig } from '../load.ts';
import type { Config, Problem } from '../model.ts';
import { plainConfig } from '../print.ts';
import { readTls, type TlsRead } from './files.ts';
import { type LoadFileOptions, loadConfigText, readConfigText, wholeFile } from './load.ts';

/** A config with what stands in the files that it names. */
export interface ReadyConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
  /** By listener name. */
  readonly tls: TlsRead['tls'];
  /** By pool name. */
  readonly upstreamTls: TlsRead['upstreamTls'];
  /** By absolute name. */
  readonly files: TlsRead['files'];
  /** JSON of every value in force, secrets left out. */
  readonly shown: string;
  /** Of the file that it came from. */
  readonly text?: string;
}

export interface ReadyOptions extends LoadFileOptions {
  /** Of the thread that reads; default: ready-worker.ts. */
  readonly entry?: URL;
}

/** What the thread is given. */
export interface ReadyJob extends LoadFileOptions {
  readonly file: string;
  readonly text: string;
}

/** And what it says. */
export type ReadyAnswer = Result<Omit<ReadyConfig, 'text'>, readonly Problem[]>;

/** In characters of the file. */
const readHereMost = 32 * 1024;

/** The config in the file, which is read once. */
export async function readyFile(
  file: string,
  { env, now, entry }: ReadyOptions,
): Promise<Result<ReadyConfig, readonly Problem[]>> {
  const text = await readConfigText(file);
  if (!text.ok) return text;
  const job: ReadyJob = { file, text: text.value, env: { ...env }, now };
  const ready = text.value.length <= readHereMost ? await readyText(job) : await readApart(job, entry ?? ownEntry());
  return ready.ok ? ok({ ...ready.value, text: text.value }) : ready;
}

/** In this thread, in one turn. */
export async function readyText({ text, ...options }: ReadyJob): Promise<ReadyAnswer> {
  const loaded = await loadConfigText(text, options);
  return loaded.ok ? ok(withoutPlaces(loaded.value, loaded.value)) : loaded;
}

/** Of a config that did not come from a file. `now`: wall clock. */
export async function readyConfig(loaded: LoadedConfig, now: Date): Promise<Result<ReadyConfig, readonly Problem[]>> {
  const tls = await readTls(loaded, now);
  if (!tls.ok) return tls;
  return ok(withoutPlaces(loaded, { ...tls.value, warnings: [...loaded.warnings, ...tls.value.warnings] }));
}

function withoutPlaces(loaded: LoadedConfig, { tls, upstreamTls, files, warnings }: TlsRead): ReadyConfig {
  return { config: loaded.config, warnings, tls, upstreamTls, files, shown: JSON.stringify(plainConfig(loaded)) };
}

/** A thread that fails, for want of memory or by a bug of ours, is a problem of the file: the config in force stays. */
async function readApart(job: ReadyJob, entry: URL): Promise<ReadyAnswer> {
  const worker = new Worker(entry, { workerData: job, name: 'config' });
  const answer = await new Promise<ReadyAnswer>((resolve) => {
    const failed = (why: string): void => resolve(err([wholeFile(job.file, `could not be read: ${why}`)]));
    worker.once('message', resolve);
    worker.once('error', (error) => failed(`the thread that read it failed: ${messageOf(error)}`));
    worker.once('exit', () => failed('the thread that read it ended without a word'));
  });
  if (!answer.ok) return answer;
  await nextTurn(); // taking the message has been one long turn
  freeze(answer.value.config);
  return answer;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The published files are .js. */
function ownEntry(): URL {
  const source = new URL('./ready-worker.ts', import.meta.url);
  return import.meta.url.endsWith('.ts') ? source : new URL(source.href.replace(/\.ts$/, '.js'));
}
