/**
 * A closed load: so many connections, each of which asks again as soon as it was answered. wrk where it is to be trusted,
 * autocannon where nothing but npm is at hand (it costs more than most proxies, so its rates are its own).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Place } from '../place.ts';
import { type Command, Process } from '../process.ts';
import type { Target } from '../ready.ts';
import { quantile } from '../statistics.ts';
import { oneAfterAnother } from './crowd.ts';

export interface ClosedLoad {
  readonly target: Target;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Ask for this many hosts in turn (wrk only; autocannon asks for the one in `headers`). */
  readonly hosts: number;
  /** Bytes to send with each request. */
  readonly upload: number;
  /** A new connection for each request. */
  readonly reconnect: boolean;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly errors: number;
}

export interface LoadTool {
  readonly name: string;
  run(load: ClosedLoad): Promise<LoadResult>;
}

const script = fileURLToPath(new URL('./wrk.lua', import.meta.url));
const autocannonFile = fileURLToPath(new URL('../../../node_modules/autocannon/autocannon.js', import.meta.url));

const urlOf = ({ target, path }: ClosedLoad): string =>
  `${target.tls ? 'https' : 'http'}://${target.host}:${target.port}${path}`;

export function wrkTool(place: Place, wrk: string): LoadTool {
  const run = async (load: ClosedLoad): Promise<LoadResult> => {
    const headers = { ...load.headers, ...(load.reconnect ? { connection: 'close' } : {}) };
    const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${wrkName(name)}: ${value}`]);
    const size = ['-t', '1', '-c', String(load.connections), '-d', `${Math.ceil(load.seconds)}s`, '--timeout', '10s'];
    const told = [String(load.hosts), String(load.upload)];
    const args = [...size, ...fields, '-s', script, urlOf(load), '--', ...told];
    const result = await lastLine(place, { file: wrk, args });
    const figures = result as Record<'requests' | 'us' | 'p50' | 'p99' | 'p999' | 'errors', number>;
    const { requests, us, errors } = figures;
    return {
      requests,
      seconds: us / 1e6,
      errors,
      p50: figures.p50 / 1e3,
      p99: figures.p99 / 1e3,
      p999: figures.p999 / 1e3,
    };
  };
  return { name: 'wrk', run };
}

export function autocannonTool(place: Place): LoadTool {
  const run = async (load: ClosedLoad): Promise<LoadResult> => {
    if (load.reconnect) return reconnecting(load);
    const args = ['-j', '-n', '-c', String(load.connections), '-d', String(Math.ceil(load.seconds))];
    for (const [name, value] of Object.entries(load.headers)) args.push('-H', `${name}=${value}`);
    if (load.upload > 0) args.push('-m', 'POST', '-i', bodyFile(place, load.upload));
    const result = await lastLine(place, { file: process.execPath, args: [autocannonFile, ...args, urlOf(load)] });
    const { requests, latency, duration, errors, non2xx } = result as AutocannonResult;
    const { p50, p99, p99_9: p999 } = latency;
    return { requests: requests.total, seconds: duration, p50, p99, p999, errors: errors + non2xx };
  };
  return { name: 'autocannon', run };
}

/** By a client of our own: autocannon counts no request when it is told to reconnect after each. */
async function reconnecting({ target, path, connections: atOnce, seconds: wanted }: ClosedLoad): Promise<LoadResult> {
  const { times, errors, seconds } = await oneAfterAnother(target, path, { atOnce, seconds: wanted });
  const [p50, p99, p999] = [quantile(times, 0.5), quantile(times, 0.99), quantile(times, 0.999)];
  return { requests: times.length, seconds, p50, p99, p999, errors };
}

/** wrk and its script know the field by this name, and would send two otherwise. */
const wrkName = (name: string): string => (name === 'host' ? 'Host' : name);

interface AutocannonResult {
  readonly requests: { readonly total: number };
  readonly latency: Readonly<Record<'p50' | 'p99' | 'p99_9', number>>;
  readonly duration: number;
  readonly errors: number;
  readonly non2xx: number;
}

function bodyFile(place: Place, size: number): string {
  const file = join(place.folder, `upload-${size}`);
  writeFileSync(file, Buffer.alloc(size, 'x'));
  return file;
}

/** Runs a tool to its end; its last line is JSON. */
async function lastLine(place: Place, command: Command): Promise<unknown> {
  const process = place.own(new Process(command));
  try {
    await process.ended;
    return JSON.parse(process.stdout.trim().split('\n').at(-1) ?? '');
  } catch (error) {
    throw new Error(`${command.file} gave no result (${(error as Error).message}); it wrote:\n${process.output}`);
  } finally {
    await place.end(process);
  }
}
