/** Data threads that carry all that they can: nobody takes a busy member for a dead one, and the leader stays. */
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { find } from '../../../bench/load/machine.ts';
import { type Command, Process } from '../../../bench/load/process.ts';
import { startAppNode } from '../../helpers/nodes.ts';
import { within } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';
import { print, proving, soonMs } from './prove.ts';

const seconds = proving(10, 60);
const autocannon = fileURLToPath(new URL('../../../node_modules/autocannon/autocannon.js', import.meta.url));
const wrk = find('wrk');

const loadOn = ({ port }: Seat): Command => {
  const [url, connections] = [`http://127.0.0.1:${port}/`, '32'];
  if (wrk !== null) return { file: wrk, args: ['-t1', `-c${connections}`, `-d${seconds}s`, url] };
  const args = ['-j', '-n', '-c', connections, '-d', String(seconds), url];
  return { file: process.execPath, args: [autocannon, ...args] };
};

/** Requests answered, as the tool tells it. */
function answeredBy({ stdout, output }: Process): number {
  const text = wrk === null ? /"2xx":(\d+)/.exec(stdout) : /(\d+) requests in/.exec(stdout);
  if (text === null) throw new Error(`the load tool gave no result: ${output}`);
  return Number(text[1]);
}

const wordsAgainstLife = ['cluster-suspected', 'cluster-dead', 'cluster-refuted'];

function accusations({ name, child }: Seat): string[] {
  const lines = child!.stdout.filter((line) => wordsAgainstLife.some((word) => line.includes(`"event":"${word}"`)));
  return lines.map((line) => `${name}: ${line}`);
}

it(
  `full load on three members for ${seconds} s: no suspicion, no election`,
  async () => {
    const scope = testScope();
    const node = await startAppNode(scope, 'one');
    const members = await Processes.of(scope, 3);
    for (const seat of members.seats) {
      await members.write(seat, {}, { pools: { app: { nodes: [node.url], health: 'off' } } });
    }
    members.start(...members.seats);
    const leader = await members.led(soonMs);
    await members.ready();
    const termOf = async (): Promise<unknown> =>
      ((await (await members.ask(leader, '/api/ha/cluster')).json()) as { readonly term: number }).term;
    const term = await termOf();
    expect(members.seats.flatMap(accusations)).toEqual([]);

    const loads = members.seats.map((seat) => scope.own(new Process(loadOn(seat))));
    await within('end of the load', Promise.all(loads.map(({ ended }) => ended)), seconds * 1000 + soonMs);

    const answered = loads.reduce((sum, load) => sum + answeredBy(load), 0);
    print(`full load for ${seconds} s: ${Math.round(answered / seconds)} requests/s through three members`);
    expect(answered).toBeGreaterThan(seconds * 100);
    expect(members.seats.flatMap(accusations)).toEqual([]);
    expect(await members.led(soonMs)).toBe(leader);
    expect(await termOf()).toBe(term);
  },
  seconds * 1000 + 3 * soonMs,
);
