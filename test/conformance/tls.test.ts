/** The same tables over TLS, three ways too: what is read there is read by the same rules. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scope } from '../helpers/scope.ts';
import { type Expanded, type Looks, type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { judgeRequest, judgeResponse, judgeThreeWays } from './judge.ts';
import { idle, type Lanes, openLanes } from './lanes.ts';

const scope = new Scope();
let lanes: Lanes;
beforeAll(async () => {
  lanes = await openLanes(scope, { tls: true });
});
afterAll(() => scope.stop());

/** Nodes are told of https then. */
function overTls(one: Expanded<RequestCase>): Expanded<RequestCase> {
  const proto = (looks: Looks): Looks => ({
    ...looks,
    ...(looks.has
      ? { has: looks.has.map((line) => line.replace('X-Forwarded-Proto: http', 'X-Forwarded-Proto: https')) }
      : {}),
  });
  return one.it.node ? { ...one, it: { ...one.it, node: one.it.node.map(proto) } } : one;
}

/**
 * That such an answer was cut, TLS tells by an end without close_notify, which Node's client takes for any other end:
 * test/proxy/io/tls.test.ts asks openssl.
 */
const untold = ({ cut, request }: ResponseCase): boolean => cut === true && request?.includes('HTTP/1.0') === true;

for (const table of ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml']) {
  describe.concurrent(table, () => {
    for (const one of readTable<RequestCase>(table)) {
      it(one.title, async () => {
        expect(
          await lanes.with((lane) => judgeThreeWays((pieces) => judgeRequest(lane, overTls(one), pieces))),
        ).toEqual([]);
      });
    }
  });
}

describe.concurrent('responses.yaml', () => {
  for (const one of readTable<ResponseCase>('responses.yaml')) {
    if (untold(one.it)) continue;
    it(one.title, async () => {
      expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeResponse(lane, one, pieces)))).toEqual([]);
    });
  }
});

describe('after all of it', () => {
  it('no exception was caught, nothing is in flight', async () => {
    const { threads } = await lanes.evenkeel.stats();
    expect(threads.map((thread) => [thread.exceptions, thread.restarts])).toEqual([[0, 0]]);
    await idle(lanes);
  });
});
