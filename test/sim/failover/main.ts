/**
 * The simulation of failover from the command line.
 *
 *   npm run sim -- --failover --seeds 2000 [--from 1] [--jobs 2]     many seeds; prints those that fail, and what was covered
 *   npm run sim -- --failover --seed 42 [--lines 200] [--script FILE] one seed with its timeline, or with a schedule by hand
 *   npm run sim -- --failover --seed 42 --print-script | --shorten    its schedule; the shortest that still fails
 *   --aim 'cut off'                                                   with any of these: schedules that aim at this, see aims.ts
 */
import { readFileSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { inThreads, type Many, type Part, readWishes, seedsOf } from '../command.ts';
import { Coverage } from '../coverage.ts';
import { type Line, parseScript, scriptText, shortest } from '../script.ts';
import { type AimName, aimed, aimNames } from './aims.ts';
import { type Failure, failureText, isFailure, kindOf, runSeed, runSeeds, type SeedsResult } from './seeds.ts';
import { FailoverWorld, type FailoverWorldOptions } from './world.ts';

const worldOf = (aim: AimName | null, seed: number): FailoverWorldOptions =>
  aim === null ? kindOf(seed) : aimed(aim, seed);

async function many(wanted: Many<AimName>): Promise<boolean> {
  const began = performance.now();
  const results = await inThreads<SeedsResult>(import.meta.url, wanted);
  const coverage = new Coverage();
  for (const result of results) coverage.add([...result.coverage.counts]);
  const failures = results.flatMap((result): readonly Failure[] => result.failures).sort((a, b) => a.seed - b.seed);
  const sum = (of: (result: SeedsResult) => number): number => results.reduce((all, result) => all + of(result), 0);
  const seconds = (performance.now() - began) / 1000;
  const slowest = (of: (result: SeedsResult) => number): number => Math.round(Math.max(...results.map(of)));
  console.log(coverage.table());
  console.log(
    `${wanted.count} seeds in ${seconds.toFixed(1)} s: ${sum(({ epochs }) => epochs)} epochs opened, ${sum(({ acknowledged }) => acknowledged)} writes acknowledged, slowest recovery ${slowest(({ slowestHealMs }) => slowestHealMs)} ms, slowest end of a failover ${slowest(({ slowestEndMs }) => slowestEndMs)} ms`,
  );
  if (failures.length > 0) console.log(`${failures.length} FAILED\n${failureText(failures)}`);
  return failures.length === 0;
}

function one(seed: number, options: FailoverWorldOptions, lines: number): boolean {
  const world = new FailoverWorld(seed, options);
  let verdict = '';
  try {
    const { steps, epochs, acknowledged } = world.run();
    verdict = `sound: ${steps} steps, ${epochs} epochs, ${acknowledged} writes acknowledged`;
    return true;
  } catch (error) {
    verdict = `FAILED ${error instanceof Error ? error.stack : String(error)}\nthen: ${world.picture()}`;
    return false;
  } finally {
    console.log(JSON.stringify({ ...world.kind, script: undefined }));
    for (const line of world.timeline.lines(lines)) console.log(line);
    console.log(verdict);
  }
}

/** The shortest schedule that breaks the same rule. */
function shorten(seed: number, options: FailoverWorldOptions): boolean {
  const first = runSeed(seed, options);
  if (!isFailure(first)) return true;
  const fails = (script: readonly Line[]): boolean => {
    const result = runSeed(seed, { ...options, script });
    return isFailure(result) && result.rule === first.rule;
  };
  const script = shortest(new FailoverWorld(seed, options).script, fails);
  console.log(`# seed ${seed} breaks "${first.rule}" with only this\n${scriptText(script)}`);
  return false;
}

export async function main(): Promise<boolean> {
  const wishes = readWishes(aimNames);
  const { seed, aim } = wishes;
  if (seed === null) return many(wishes);
  const options = worldOf(aim, seed);
  if (wishes.shorten) return shorten(seed, options);
  if (wishes.printScript) {
    console.log(scriptText(new FailoverWorld(seed, options).script));
    return true;
  }
  const script = wishes.script === null ? null : parseScript(readFileSync(wishes.script, 'utf8'));
  return one(seed, { ...options, ...(script && { script }) }, wishes.lines);
}

function work(port: MessagePort, part: Part<AimName>): void {
  port.postMessage(runSeeds(seedsOf(part), (seed) => worldOf(part.aim, seed)));
}

if (parentPort !== null) work(parentPort, workerData as Part<AimName>);
