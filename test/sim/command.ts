/** What the command lines of both simulations share: their options, and seeds spread over threads. */
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';

/** Seeds from `from` on, in so many threads. */
export interface Many<Aim extends string> {
  readonly count: number;
  readonly from: number;
  readonly jobs: number;
  readonly aim: Aim | null;
}

/** What one thread runs: every `step`-th seed of [from, to). Travels as the thread's workerData. */
export interface Part<Aim extends string> {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly aim: Aim | null;
}

export interface Wishes<Aim extends string> extends Many<Aim> {
  /** null: many of them. */
  readonly seed: number | null;
  /** Of a timeline, at most. */
  readonly lines: number;
  /** A file. */
  readonly script: string | null;
  readonly printScript: boolean;
  readonly shorten: boolean;
}

/** Throws if it is not understood. */
export function readWishes<Aim extends string>(aims: readonly Aim[]): Wishes<Aim> {
  const { values } = parseArgs({
    options: {
      failover: { type: 'boolean', default: false },
      seeds: { type: 'string', default: '500' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: '1' },
      seed: { type: 'string' },
      lines: { type: 'string', default: 'Infinity' },
      script: { type: 'string' },
      aim: { type: 'string' },
      'print-script': { type: 'boolean', default: false },
      shorten: { type: 'boolean', default: false },
    },
  });
  const aim = aims.find((name) => name === values.aim) ?? null;
  if (values.aim !== undefined && aim === null) throw new Error(`--aim: one of ${aims.join(', ')}`);
  return {
    count: Number(values.seeds),
    from: Number(values.from),
    jobs: Number(values.jobs),
    aim,
    seed: values.seed === undefined ? null : Number(values.seed),
    lines: Number(values.lines),
    script: values.script ?? null,
    printScript: values['print-script'],
    shorten: values.shorten,
  };
}

export function* seedsOf({ from, to, step }: Part<string>): Generator<number> {
  for (let seed = from; seed < to; seed += step) yield seed;
}

/** Each thread runs `module` with a Part as its workerData, and posts its Result. */
export function inThreads<Result>(module: string, { count, from, jobs, aim }: Many<string>): Promise<Result[]> {
  const run = (part: Part<string>): Promise<Result> =>
    new Promise((resolve, reject) => {
      const thread = new Worker(new URL(module), { workerData: part });
      thread.once('message', (result: Result) => resolve(result));
      thread.once('error', reject);
    });
  return Promise.all(
    Array.from({ length: jobs }, (_, job) => run({ from: from + job, to: from + count, step: jobs, aim })),
  );
}
