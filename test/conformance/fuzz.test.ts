/**
 * Good messages, damaged by chance: whatever the proxy makes of one, both sides must have understood the same.
 *
 *   requests:  as many good answers as requests at the node, in order, each the answer to its own; what the node got is
 *              well formed, has the bodies that the strict reader (http-bytes.ts) finds in the client's bytes, and is the
 *              same request for Node's own parser (oracle.ts); at most one refusal, the last; the same again when the
 *              bytes come in one piece; and the next client gets its own answer
 *   responses: the client sees the whole answer that the strict reader finds in the node's bytes, or 502, or a cut
 *
 * A red run prints the seed and the smallest damage that shows it. FUZZ_RUNS and FUZZ_SEED look further.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finalOf, type Message, readMessages, statusOf } from '../helpers/http-bytes.ts';
import { patienceMs } from '../helpers/poll.ts';
import { get, RawClient } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { Scope, testScope } from '../helpers/scope.ts';
import { anyText } from '../proxy/any-head.ts';
import { canary, closed, type Lane } from './judge.ts';
import { idle, type Lanes, openLanes } from './lanes.ts';
import { type Oracle, startOracle } from './oracle.ts';
import { startRelay } from './relay.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 400);
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260);
const lanesInUse = [0, 1, 2, 3];

const scope = new Scope();
let lanes: Lanes;
let oracles: readonly Oracle[];
beforeAll(async () => {
  lanes = await openLanes(scope);
  oracles = await Promise.all(lanesInUse.map(() => startOracle(scope)));
});
afterAll(() => scope.stop());

const lines = (...all: string[]): string => `${all.join('\r\n')}\r\n\r\n`;
const next = lines('GET /next HTTP/1.1', 'Host: ek.test');
const requests = [
  lines('GET /one?q=1 HTTP/1.1', 'Host: ek.test', 'X-A: b', 'Cookie: c=d') + next,
  `${lines('POST /two HTTP/1.1', 'Host: ek.test', 'Content-Length: 11')}hello world${next}`,
  `${lines('POST /three HTTP/1.1', 'Host: ek.test', 'Transfer-Encoding: chunked')}5\r\nhello\r\nb\r\n and more it\r\n0\r\n\r\n${next}`,
  `${lines('PUT /four HTTP/1.1', 'Host: ek.test', 'Content-Length: 45')}GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n\r\n${next}`,
  `${lines('POST http://ek.test/five HTTP/1.1', 'Host: other.test', 'Connection: X-B, keep-alive', 'X-B: c', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\nX-T: u\r\n\r\n${next}`,
  `${next}${lines('POST /six HTTP/1.1', 'Host: ek.test', 'Content-Length: 11')}hello world`,
  `${next}${lines('POST /seven HTTP/1.1', 'Host: ek.test', 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
];
const responses = [
  `${lines('HTTP/1.1 200 OK', 'Content-Length: 11', 'X-A: b')}hello world`,
  `${lines('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
  `${lines('HTTP/1.1 103 Early Hints', 'Link: </x>')}${lines('HTTP/1.1 404 Not Found', 'Content-Length: 5', 'Set-Cookie: a=b')}hello`,
  lines('HTTP/1.1 204 No Content', 'X-A: b'),
];

/** Pieces that readers of HTTP have disagreed about. */
const pieces = [
  ' ',
  '\t',
  '\r',
  '\n',
  '\r\n',
  '\0',
  '\x0b',
  '\x0c',
  '\x7f',
  '\xa0',
  '\xff',
  ':',
  ';',
  ',',
  '"',
  '0',
  '1',
  '-',
  '+',
  '_',
  '0x',
  '#',
  '/',
  '..',
  '%2e',
  '*',
];
const fields = [
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Host: evil.test\r\n',
  'Connection: close\r\n',
  'Connection: Content-Length, Transfer-Encoding\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: websocket\r\n',
  ' folded\r\n',
  '0\r\n\r\n',
  '\r\n\r\n',
  next,
];

type Damage = (bytes: string) => string;
/** Where, as a share of the length: so that shrinking works on texts of any length. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: string, share: number): number => Math.floor(share * bytes.length);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc
    .tuple(place, fc.constantFrom(...pieces))
    .map(([p, piece]) =>
      named(`insert ${JSON.stringify(piece)} at ${p}`, (b) => b.slice(0, at(b, p)) + piece + b.slice(at(b, p))),
    ),
  fc
    .tuple(place, fc.constantFrom(...pieces))
    .map(([p, piece]) =>
      named(
        `replace by ${JSON.stringify(piece)} at ${p}`,
        (b) => b.slice(0, at(b, p)) + piece + b.slice(at(b, p) + piece.length),
      ),
    ),
  fc
    .tuple(place, fc.integer({ min: 1, max: 6 }))
    .map(([p, n]) => named(`cut ${n} at ${p}`, (b) => b.slice(0, at(b, p)) + b.slice(at(b, p) + n))),
  fc
    .tuple(place, fc.integer({ min: 1, max: 30 }))
    .map(([p, n]) => named(`double ${n} at ${p}`, (b) => b.slice(0, at(b, p) + n) + b.slice(at(b, p)))),
  fc
    .tuple(place, fc.constantFrom(...fields))
    .map(([p, line]) => named(`line ${JSON.stringify(line)} near ${p}`, (b) => insertLine(b, at(b, p), line))),
);

const named = (name: string, change: Damage): Damage =>
  Object.assign(change, { toString: () => name, [fc.toStringMethod]: () => name });

/** Behind the next end of a line. */
function insertLine(bytes: string, from: number, line: string): string {
  const end = bytes.indexOf('\r\n', from);
  return end < 0 ? bytes + line : bytes.slice(0, end + 2) + line + bytes.slice(end + 2);
}

const damaged = (goods: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...goods), fc.array(damage, { minLength: 1, maxLength: 3 }))
    .map(([good, damages]) => damages.reduce((bytes, change) => change(bytes), good));

interface How {
  /** The bytes leave in two pieces, cut here. */
  readonly split: number;
  /** How long an end or an answer is waited for. */
  readonly withinMs: number;
}
type Judge = (lane: Lane, bytes: string, how: How) => Promise<string[]>;

function assertAll(lane: Lane, any: fc.Arbitrary<string>, judge: Judge, n: number): Promise<void> {
  // What is found is made small for so long; then it is reported as it is.
  const interruptAfterTimeLimit = Number(process.env['FUZZ_RUNS'] ?? 0) > 0 ? 600_000 : 45_000;
  const property = fc.asyncProperty(any, place, async (bytes, split) => {
    const complaints = await judge(lane, bytes, { split: at(bytes, split), withinMs: patienceMs });
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
  });
  return fc.assert(property, { numRuns: runs, seed: seed + n, includeErrorInReport: true, interruptAfterTimeLimit });
}

/** All lanes at once, each with a seed of its own. */
async function inAllLanes(any: fc.Arbitrary<string>, judge: (n: number) => Judge): Promise<void> {
  await Promise.all(lanesInUse.map((n) => lanes.with((lane) => assertAll(lane, any, judge(n), n))));
}

interface Seen {
  readonly client: RawClient;
  /** Whole requests at the node. */
  readonly arrived: readonly Message[];
  readonly complaints: string[];
}

const judgeRequest: Judge = async (lane, bytes, { split, withinMs }) => {
  const { client, arrived, complaints } = await play(lane, [bytes.slice(0, split), bytes.slice(split)], withinMs);
  return [...complaints, ...answerFaults(client, arrived), ...bodyFaults(bytes, arrived), ...(await canary(lane))];
};

/** And what Node's parser makes of it, and whether it is the same in one piece. */
const judgeRequestAnd =
  (oracle: Oracle): Judge =>
  async (lane, bytes, how) => {
    const complaints = await judgeRequest(lane, bytes, how);
    const whole = await play(lane, [bytes], how.withinMs);
    for (const request of whole.arrived) complaints.push(...(await oracle.judge(request)));
    const pieces = await play(lane, [bytes.slice(0, how.split), bytes.slice(how.split)], how.withinMs);
    const [one, two] = [verdict(whole), verdict(pieces)];
    return one === two ? complaints : [...complaints, `in one piece ${one}, in two ${two}`];
  };

const verdict = ({ client, arrived }: Seen): string =>
  JSON.stringify([
    finalOf(client.read(arrived.map((request) => request.start.split(' ')[0]!))).map(statusOf),
    arrived.map((request) => [request.start, request.body]),
  ]);

/** Sends the pieces, then FIN, and waits for the end. */
async function play(lane: Lane, pieces: readonly string[], withinMs: number): Promise<Seen> {
  lane.node.respond = sayWhat;
  const before = marks(lane.node);
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    for (const piece of pieces) await client.send(piece);
    client.halfClose();
    await client.ended(withinMs);
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  const arrived: Message[] = [];
  for (const connection of lane.node.connections) {
    const then = before.get(connection) ?? { requests: 0, faults: 0, received: 0 };
    if (connection.received === then.received) continue;
    arrived.push(...connection.requests.slice(then.requests));
    complaints.push(...connection.faults.slice(then.faults).map((fault) => `node got ${fault}`));
    if (connection.tail !== '' && !(await closed(connection, withinMs)))
      complaints.push(`node got a piece: ${JSON.stringify(connection.tail)}`);
  }
  return { client, arrived, complaints };
}

/** How far each connection of a node had come. */
const marks = (node: RawNode): Map<RawConnection, { requests: number; faults: number; received: number }> =>
  new Map(
    node.connections.map((one) => [
      one,
      { requests: one.requests.length, faults: one.faults.length, received: one.received },
    ]),
  );

function answerFaults(client: RawClient, arrived: readonly Message[]): string[] {
  const reading = client.read(arrived.map((request) => request.start.split(' ')[0]!));
  const finals = finalOf(reading);
  const good = finals.filter((answer) => statusOf(answer) === 200);
  const complaints = [...reading.faults];
  if (reading.rest !== '') complaints.push(`client got ${JSON.stringify(reading.rest)} behind the answers`);
  if (finals.length - good.length > 1 || (finals.length > good.length && statusOf(finals.at(-1)!) === 200)) {
    complaints.push(`answers ${finals.map(statusOf)}`);
  }
  if (good.length !== arrived.length)
    complaints.push(`${good.length} good answers, ${arrived.length} requests at the node`);
  for (const [i, answer] of good.entries()) {
    const what = arrived[i]?.start.split(' ').slice(0, 2).join(' ') ?? '';
    if (!what.startsWith('HEAD ') && answer.body !== what)
      complaints.push(`answer ${i + 1} is ${answer.body}, not ${what}`);
  }
  return complaints;
}

/** What was forwarded must be what the client's bytes say, by the strict reader. */
function bodyFaults(bytes: string, arrived: readonly Message[]): string[] {
  const { messages, faults } = readMessages(bytes.replace(/^\r\n/, ''), 'request');
  // The strict reader stops at what the proxy may rightly take: chunk extensions, an empty line between requests.
  if (faults.some((fault) => fault.includes(';')) || messages.some((one) => one.start === '')) return [];
  return arrived.flatMap((request, i) => {
    const sent = messages[i];
    if (sent?.complete !== true)
      return [`request ${i + 1} was forwarded, though it never became whole: ${request.start}`];
    return sent.body === request.body
      ? []
      : [`body ${JSON.stringify(request.body)}, sent ${JSON.stringify(sent.body)}`];
  });
}

async function judgeResponse(lane: Lane, bytes: string, { split, withinMs }: How): Promise<string[]> {
  let used: RawConnection | null = null;
  lane.node.respond = (message, connection) => {
    if (!message.start.includes('/case')) return sayWhat(message, connection);
    used = connection;
    connection.write(bytes.slice(0, split));
    setImmediate(() => {
      connection.write(bytes.slice(split));
      connection.socket.end();
    });
  };
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    await client.send(get('/case'));
    await client.answers(1, { withinMs });
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  const reading = client.read(['GET']);
  const [answer] = finalOf(reading);
  complaints.push(...reading.faults.map((fault) => `client got ${fault}`));
  const [sent] = finalOf(readMessages(bytes, 'response', { ended: true }));
  if (answer?.complete && !(statusOf(answer) === 502 && answer.fields.has('proxy-status'))) {
    if (sent?.complete !== true && !bytes.includes(';'))
      complaints.push(`a whole answer, though the node's was not: ${answer.start}`);
    else if (sent?.complete && sent.body !== answer.body)
      complaints.push(`body ${answer.body}, the node sent ${sent.body}`);
  } else if (!answer?.complete && client.end === 'open') complaints.push('neither a whole answer nor an end');
  if (used !== null && !(await closed(used, withinMs))) complaints.push('the node’s connection was not closed');
  return [...complaints, ...(await canary(lane))];
}

describe('damaged by chance', () => {
  it(`${runs * lanesInUse.length} requests`, () => inAllLanes(damaged(requests), (n) => judgeRequestAnd(oracles[n]!)));

  it(`${runs * lanesInUse.length} texts that need not be requests`, () =>
    inAllLanes(anyText, (n) => judgeRequestAnd(oracles[n]!)));

  it(`${runs * lanesInUse.length} responses`, () => inAllLanes(damaged(responses), () => judgeResponse));

  it('a bare relay would be found out', async () => {
    const own = testScope();
    const lane = await startRelay(own, await startRawNode(own));
    const complaints = async (goods: readonly string[], judge: Judge, numRuns = 30): Promise<string> => {
      const found: string[] = [];
      for (const bytes of fc.sample(damaged(goods), { numRuns, seed }))
        found.push(...(await judge(lane, bytes, { split: 10, withinMs: 50 })));
      return found.join('\n');
    };
    expect(await complaints(requests, judgeRequestAnd(oracles[0]!), 10)).toMatch(/^Node's parser \(HTTP\/1.1 400 /m);
    expect(await complaints(requests, judgeRequest)).toMatch(/^node got (field line|request line|\d)/m);
    expect(await complaints(responses, judgeResponse)).toMatch(/^client got (field line|status line|\d)/m);
  });

  it('no exception was caught meanwhile', async () => {
    const { threads, pools } = await lanes.evenkeel.stats();
    expect(threads.map((thread) => [thread.exceptions, thread.restarts])).toEqual([[0, 0]]);
    expect(pools).toHaveLength(lanesInUse.length);
    await idle(lanes);
  });
});
