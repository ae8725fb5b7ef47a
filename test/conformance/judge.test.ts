/**
 * The judge judged: in front of a bare TCP relay, which reads nothing and passes all, every case that must be refused
 * has to be reported, and a plain one has to pass. So a red proxy can't look green because the judge was blind.
 */
import { describe, expect, it } from 'vitest';
import { startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';
import { type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { judgeRequest, judgeResponse } from './judge.ts';
import { startRelay } from './relay.ts';

const tables = ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml'];
const requestCases = tables.flatMap((table) => readTable<RequestCase>(table));

describe('in front of a relay', () => {
  it('a plain request passes', async () => {
    const scope = testScope();
    const lane = await startRelay(scope, await startRawNode(scope));
    const plain = requestCases.find((one) => one.title === 'F14 three at once');
    expect(await judgeRequest(lane, plain!, 'whole')).toEqual([]);
  });

  it('a plain answer passes', async () => {
    const scope = testScope();
    const lane = await startRelay(scope, await startRawNode(scope));
    const cases = readTable<ResponseCase>('responses.yaml');
    const plain = cases.find((one) => one.title.startsWith('R3 short of its length: fin'));
    expect(await judgeResponse(lane, plain!, 'whole')).toEqual([]);
  });

  const scope = fileScope();
  describe.concurrent('what must be refused is reported', () => {
    const refusals = requestCases.filter((one) => one.it.refused !== undefined && one.it.row !== 'L7');
    for (const one of refusals) {
      it(one.title, async () => {
        const lane = await startRelay(scope, await startRawNode(scope));
        expect(await judgeRequest(lane, one, 'whole', 100)).not.toEqual([]);
      });
    }
  });
});

describe('the tables', () => {
  it('have a title of its own for each case', () => {
    const titles = [...requestCases, ...readTable<ResponseCase>('responses.yaml')].map(
      (one) => `${one.title} ${one.bytes}`,
    );
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  });
});
