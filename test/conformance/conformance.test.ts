/**
 * Every row of the tables beside this file, three ways: in one write, byte by byte, and split at each CRLF.
 * Cases run side by side in lanes of their own in front of one evenkeel process.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Evenkeel } from '../helpers/evenkeel.ts';
import { allPieces } from '../helpers/raw-client.ts';
import { Scope } from '../helpers/scope.ts';
import { type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { judgeRequest, judgeResponse, judgeThreeWays } from './judge.ts';
import { idle, type Lanes, openLanes } from './lanes.ts';

const scope = new Scope();
let lanes: Lanes;
let ek: Evenkeel;

beforeAll(async () => {
  lanes = await openLanes(scope);
  ek = lanes.evenkeel;
});
afterAll(() => scope.stop());

const requestTables = ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml'];

for (const table of requestTables) {
  describe.concurrent(table, () => {
    for (const one of readTable<RequestCase>(table)) {
      it(one.title, async () => {
        expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeRequest(lane, one, pieces)))).toEqual([]);
      });
    }
  });
}

describe.concurrent('responses.yaml', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    it(one.title, async () => {
      expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeResponse(lane, one, pieces)))).toEqual([]);
    });
  }
});

describe('after all of it', () => {
  it('the process runs, no exception was caught, nothing is in flight', async () => {
    const stats = await ek.stats();
    expect(ek.child.exited).toBeNull();
    expect(stats.threads.map((thread) => thread.exceptions)).toEqual([0]);
    expect(stats.threads.map((thread) => thread.restarts)).toEqual([0]);
    await idle(lanes);
  });

  it('each refusal was counted, once', async () => {
    const refusals = requestTables
      .flatMap((table) => readTable<RequestCase>(table))
      .filter(({ it: { refused, answers } }) => refused !== undefined || answers?.some((status) => status >= 400));
    const counted = Object.values((await ek.stats()).refused).reduce((sum, count) => sum + count, 0);
    expect(counted).toBe(refusals.length * allPieces.length);
  });
});
