/**
 * The judge judged: in front of a bare TCP relay, which reads nothing and passes all, every case that must be refused
 * has to be reported, and a plain one has to pass. So a red proxy can't look green because the judge was blind.
 */
import { describe, expect, it } from 'vitest';
import { startRawNode } from '../helpers/raw-node.ts';
import { fileScope, testScope } from '../helpers/scope.ts';
import { type Looks, type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { judgeRequest, judgeResponse } from './judge.ts';
import { startLeak, startRelay } from './relay.ts';

const tables = ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml'];
const requestCases = tables.flatMap((table) => readTable<RequestCase>(table));
const responseCases = readTable<ResponseCase>('responses.yaml');
const looksOf = ({ node = [], client }: RequestCase): readonly Looks[] => (client ? [...node, client] : node);

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
    const plain = responseCases.find((one) => one.title.startsWith('R3 short of its length: fin'));
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

describe('in front of one that refuses, but only when a part is at the node', () => {
  const leaked = async (title: string): Promise<string[]> => {
    const scope = testScope();
    const lane = await startLeak(scope, await startRawNode(scope));
    return judgeRequest(lane, requestCases.find((one) => one.title === title)!, 'whole');
  };

  it('a bad head is reported', async () => {
    expect(await leaked('F1 length then chunked')).toEqual([expect.stringContaining('and never the rest')]);
  });

  it('a bad body is not: the node may have its beginning', async () => {
    expect(await leaked('F9 bad line end: 5\\r\\nhelloX\\r\\n0\\r\\n\\r\\n')).toEqual([]);
  });
});

describe('the tables', () => {
  it('have no key that nobody reads', () => {
    const common = ['row', 'says', 'each', 'head', 'body', 'raw'];
    const ofRequests = ['finish', 'refused', 'gone', 'answers', 'closes', 'begun', 'node', 'client'];
    const ofResponses = ['request', 'then', 'status', 'orCut', 'cut', 'interim', 'client', 'connection'];
    const ofLooks = ['line', 'has', 'named', 'lacks', 'body', 'framing'];
    const unread = (object: object | undefined, known: readonly string[]): string[] =>
      Object.keys(object ?? {}).filter((key) => !known.includes(key));
    for (const { title, it } of requestCases)
      expect(
        [unread(it, [...common, ...ofRequests]), ...looksOf(it).map((one) => unread(one, ofLooks))].flat(),
        title,
      ).toEqual([]);
    for (const { title, it } of responseCases)
      expect([...unread(it, [...common, ...ofResponses]), ...unread(it.client, ofLooks)], title).toEqual([]);
  });

  it('have a title of its own for each case', () => {
    const titles = [...requestCases, ...responseCases].map((one) => `${one.title} ${one.bytes}`);
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([]);
  });
});
