/**
 * The simulation from the command line.
 *
 *   npm run sim -- --seeds 10000 [--from 1] [--jobs 2]     many seeds; prints those that fail, and what was covered
 *   npm run sim -- --seed 42 [--lines 200] [--script FILE] one seed with its timeline, or with a schedule written by hand
 *   npm run sim -- --seed 42 --print-script                its schedule, to be changed by hand
 *   npm run sim -- --seed 42 --shorten                     the shortest schedule that still fails
 *   --aim 'figure 8'                                       with any of these: schedules that aim at this, see aims.ts
 *   --failover                                             the worlds of failover instead, see failover/main.ts
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type MessagePort, parentPort, Worker, workerData } from 'node:worker_threads';
import { type AimName, aimed, aims } from './aims.ts';
import { Coverage } from './coverage.ts';
import { type Line, parseScript, scriptText, shortest } from './script.ts';
import { failureText, isFailure, optionsOf, runSeed, runSeeds, type SeedsResult } from './seeds.ts';
import { World, type WorldOptions } from './world.ts';

interface Part {
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly aim: AimName | null;
}

const worldOf = (aim: AimName | null, seed: number): WorldOptions => ({
  ...optionsOf(seed),
  ...(aim !== null && aimed(aim, seed)),
});

function* seedsOf({ from, to, step }: Part): Generator<number> {
  for (let seed = from; seed < to; seed += step) yield seed;
}

function partOf(worker: Part): Promise<SeedsResult> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL(import.meta.url), { workerData: worker });
    thread.once('message', (result: SeedsResult) => resolve(result));
    thread.once('error', reject);
  });
}

interface Many {
  readonly count: number;
  readonly from: number;
  readonly jobs: number;
  readonly aim: AimName | null;
}

async function many({ count, from, jobs, aim }: Many): Promise<boolean> {
  const began = performance.now();
  const parts = Array.from({ length: jobs }, (_, job) =>
    partOf({ from: from + job, to: from + count, step: jobs, aim }),
  );
  const results = await Promise.all(parts);
  const coverage = new Coverage();
  for (const result of results) coverage.add([...result.coverage.counts]);
  const failures = results.flatMap((result) => result.failures).sort((a, b) => a.seed - b.seed);
  const sum = (of: (result: SeedsResult) => number): number => results.reduce((all, result) => all + of(result), 0);
  const seconds = (performance.now() - began) / 1000;
  console.log(coverage.table());
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s (${(count / seconds).toFixed(1)}/s): ${sum(({ steps }) => steps)} steps, ${sum(({ committed }) => committed)} entries, ${sum(({ answered }) => answered)} answers, slowest recovery ${Math.round(Math.max(...results.map(({ slowestHealMs }) => slowestHealMs)))} ms`,
  );
  if (failures.length > 0) console.log(`${failures.length} FAILED\n${failureText(failures)}`);
  return failures.length === 0;
}

function one(seed: number, options: WorldOptions, lines: number): boolean {
  const world = new World(seed, options);
  let verdict = '';
  try {
    const { steps, committed, terms, clients } = world.run();
    verdict = `sound: ${steps} steps, ${committed} entries, ${terms} leaders, ${JSON.stringify(clients)}`;
    return true;
  } catch (error) {
    verdict = `FAILED ${error instanceof Error ? error.stack : String(error)}\nthen: ${world.picture()}`;
    return false;
  } finally {
    for (const line of world.timeline.lines(lines)) console.log(line);
    console.log(verdict);
  }
}

/** The shortest schedule that breaks the same rule. */
function shorten(seed: number, options: WorldOptions): boolean {
  const first = runSeed(seed, options);
  if (!isFailure(first)) return true;
  const fails = (script: readonly Line[]): boolean => {
    const result = runSeed(seed, { ...options, script });
    return isFailure(result) && result.rule === first.rule;
  };
  const script = shortest(new World(seed, options).script, fails);
  console.log(`# seed ${seed} breaks "${first.rule}" with only this\n${scriptText(script)}`);
  return false;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
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
  if (values.aim !== undefined && !(values.aim in aims))
    throw new Error(`--aim: one of ${Object.keys(aims).join(', ')}`);
  const aim = (values.aim ?? null) as AimName | null;
  const [count, from, jobs] = [Number(values.seeds ?? '500'), Number(values.from), Number(values.jobs)];
  if (values.seed === undefined) return many({ count, from, jobs, aim });
  const seed = Number(values.seed);
  const options = worldOf(aim, seed);
  if (values.shorten) return shorten(seed, options);
  if (values['print-script']) {
    console.log(scriptText(new World(seed, options).script));
    return true;
  }
  const script = values.script === undefined ? null : parseScript(readFileSync(values.script, 'utf8'));
  return one(seed, { ...options, ...(script && { script }) }, Number(values.lines));
}

function work(port: MessagePort, part: Part): void {
  port.postMessage(runSeeds(seedsOf(part), undefined, (seed) => worldOf(part.aim, seed)));
}

if (parentPort !== null) work(parentPort, workerData as Part);
else if (process.argv.includes('--failover'))
  process.exitCode = (await (await import('./failover/main.ts')).main()) ? 0 : 1;
else process.exitCode = (await main()) ? 0 : 1;
