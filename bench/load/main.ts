/**
 * `npm run bench`: evenkeel beside its peers, in one run on one machine. docs/PERFORMANCE.md tells the method.
 *
 *   npm run bench                         the full form: wrk, all scenarios, 9 rounds of 3 s; takes hours
 *   npm run bench -- --judged             of the full form what bounds.ts judges, and no more: 9 rounds of 2 s
 *   npm run bench -- --quick              autocannon, the scenarios that tell most, 3 rounds of 1 s
 *   npm run bench -- --only 100b,10k      some scenarios; --list names them all
 *   npm run bench -- --peers nginx        some peers
 *   npm run bench -- --rounds 15 --seconds 4 --out FOLDER
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bounds } from './bounds.ts';
import { chart } from './chart.ts';
import { type Pace, proxyNames, type Scenario } from './contract.ts';
import { autocannonTool, type LoadTool, wrkTool } from './drivers/closed.ts';
import { expectedSeconds, judgedScenarios } from './judged.ts';
import { type Kind, kinds } from './kinds.ts';
import { describeMachine, find, versionOf } from './machine.ts';
import { Place } from './place.ts';
import { markdown, scenarioMarkdown, verdictsMarkdown } from './report.ts';
import { absentOf, type Results, scenarioResult, verdictsOf } from './results.ts';
import { Run } from './run.ts';
import { scenarios } from './scenarios.ts';

class UsageError extends Error {}

interface Wanted {
  readonly form: Results['form'];
  readonly pace: Pace;
  readonly scenarios: readonly Scenario[];
  readonly kinds: readonly Kind[];
  readonly out: string;
}

const say = (line: string): void => console.log(line);

function options() {
  const string = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const known = {
    quick: flag,
    judged: flag,
    list: flag,
    only: string,
    peers: string,
    rounds: string,
    seconds: string,
    out: string,
  };
  try {
    return parseArgs({ options: known }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function wanted(given: ReturnType<typeof options>): Wanted {
  const { quick, judged } = given;
  if (quick && judged) throw new UsageError('--quick is never judged: leave out --quick or --judged');
  const rounds = count('--rounds', given.rounds ?? (quick ? '3' : '9'));
  const seconds = count('--seconds', given.seconds ?? (quick ? '1' : judged ? '2' : '3'));
  const form = quick ? 'quick' : judged ? 'judged' : 'full';
  const all = judged ? judgedScenarios(scenarios, bounds) : scenarios;
  const known = all.map((one) => one.name);
  const names = chosen('--only', given.only, known);
  const peers = chosen('--peers', given.peers, proxyNames);
  return {
    form,
    pace: { quick, rounds, seconds },
    scenarios: all.filter((one) => (names === null ? !quick || one.quick === true : names.includes(one.name))),
    kinds: kinds().filter((kind) => kind.name === 'evenkeel' || peers === null || peers.includes(kind.name)),
    out: resolve(given.out ?? fileURLToPath(new URL('../results', import.meta.url))),
  };
}

function count(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value;
  throw new UsageError(`${name} takes a whole number from 1 to 1000, not '${text}'`);
}

function chosen(name: string, text: string | undefined, known: readonly string[]): readonly string[] | null {
  if (text === undefined) return null;
  const names = text.split(',');
  const unknown = names.filter((one) => !known.includes(one));
  if (unknown.length > 0) throw new UsageError(`${name}: unknown ${unknown.join(', ')}; known are ${known.join(', ')}`);
  return names;
}

/** wrk for the full form, which is nothing without it. */
function toolFor(pace: Pace, place: Place): LoadTool {
  if (pace.quick) return autocannonTool(place);
  const wrk = find('wrk');
  if (wrk === null)
    throw new UsageError('The full form is driven by wrk, which is not here. Install it, or use --quick.');
  return wrkTool(place, wrk);
}

async function bench(want: Wanted, place: Place): Promise<Results> {
  const { pace } = want;
  const tool = toolFor(pace, place);
  const started = new Date().toISOString();
  const run = new Run({ place, kinds: want.kinds, tool, pace, say });
  for (const name of absentOf(want.kinds)) say(`${name} is absent from this machine`);
  const expected = expectedSeconds(want.scenarios, pace, (scenario) => run.peersOf(scenario).length);
  say(`${want.scenarios.length} scenarios, ${pace.rounds} rounds of ${pace.seconds} s: about ${duration(expected)}`);
  for (const [index, scenario] of want.scenarios.entries()) {
    say(`\n${index + 1} of ${want.scenarios.length}: ${scenario.name}, ${scenario.title}`);
    await run.scenario(scenario);
    const last = run.measured.at(-1);
    if (last?.scenario === scenario) say(`\n${scenarioMarkdown(scenarioResult(last))}`);
  }
  const nginx = find('nginx');
  const present = want.kinds.filter((kind) => kind.program !== null);
  return {
    form: want.form,
    started,
    tool: tool.name,
    rounds: pace.rounds,
    seconds: pace.seconds,
    machine: { ...describeMachine(), nodes: nginx === null ? `Node ${process.version}` : versionOf(nginx, '-v') },
    proxies: present.map(({ name, title, version }) => ({ name, title, version })),
    absent: absentOf(want.kinds),
    scenarios: run.measured.map(scenarioResult),
    verdicts: verdictsOf(run.measured, pace.quick),
    skipped: run.skipped,
  };
}

const duration = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} minutes`;

function write(results: Results, out: string): void {
  mkdirSync(out, { recursive: true });
  const name = results.form === 'full' ? 'load' : `load-${results.form}`;
  writeFileSync(join(out, `${name}.json`), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(out, `${name}.md`), markdown(results));
  writeFileSync(join(out, `${name}.svg`), chart(results));
  say(`\nwritten: ${name}.json, ${name}.md and ${name}.svg in ${out}`);
}

async function main(): Promise<number> {
  const given = options();
  if (given.list) {
    for (const one of scenarios) say(`${one.name.padEnd(16)} ${one.title}${one.quick ? ' (quick)' : ''}`);
    return 0;
  }
  const want = wanted(given);
  const place = new Place();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  try {
    const results = await bench(want, place);
    say(`\n${verdictsMarkdown(results.verdicts)}`);
    write(results, want.out);
    // Absent is no failure; what was there and could not be measured is.
    return results.skipped.length === 0 ? 0 : 1;
  } finally {
    await place.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
