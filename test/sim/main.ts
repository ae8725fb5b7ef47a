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
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { type AimName, aimed, aims } from './aims.ts';
import { inThreads, type Many, type Part, readWishes, seedsOf } from './command.ts';
import { Coverage } from './coverage.ts';
import { type Line, parseScript, scriptText, shortest } from './script.ts';
import { failureText, isFailure, optionsOf, runSeed, runSeeds, type SeedsResult } from './seeds.ts';
import { World, type WorldOptions } from './world.ts';

const worldOf = (aim: AimName | null, seed: number): WorldOptions => ({
  ...optionsOf(seed),
  ...(aim !== null && aimed(aim, seed)),
});

async function many(wanted: Many<AimName>): Promise<boolean> {
  const began = performance.now();
  const results = await inThreads<SeedsResult>(import.meta.url, wanted);
  const coverage = new Coverage();
  for (const result of results) coverage.add([...result.coverage.counts]);
  const failures = results.flatMap((result) => result.failures).sort((a, b) => a.seed - b.seed);
  const sum = (of: (result: SeedsResult) => number): number => results.reduce((all, result) => all + of(result), 0);
  const seconds = (performance.now() - began) / 1000;
  console.log(coverage.table());
  console.log(
    `${wanted.count} seeds in ${seconds.toFixed(1)} s (${(wanted.count / seconds).toFixed(1)}/s): ${sum(({ steps }) => steps)} steps, ${sum(({ committed }) => committed)} entries, ${sum(({ answered }) => answered)} answers, slowest recovery ${Math.round(Math.max(...results.map(({ slowestHealMs }) => slowestHealMs)))} ms`,
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
  const wishes = readWishes(Object.keys(aims) as AimName[]);
  const { seed, aim } = wishes;
  if (seed === null) return many(wishes);
  const options = worldOf(aim, seed);
  if (wishes.shorten) return shorten(seed, options);
  if (wishes.printScript) {
    console.log(scriptText(new World(seed, options).script));
    return true;
  }
  const script = wishes.script === null ? null : parseScript(readFileSync(wishes.script, 'utf8'));
  return one(seed, { ...options, ...(script && { script }) }, wishes.lines);
}

function work(port: MessagePort, part: Part<AimName>): void {
  port.postMessage(runSeeds(seedsOf(part), undefined, (seed) => worldOf(part.aim, seed)));
}

if (parentPort !== null) work(parentPort, workerData as Part<AimName>);
else if (process.argv.includes('--failover'))
  process.exitCode = (await (await import('./failover/main.ts')).main()) ? 0 : 1;
else process.exitCode = (await main()) ? 0 : 1;
