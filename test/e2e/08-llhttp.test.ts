/**
 * The fixtures of llhttp (strict mode), sent through the proxy in both directions, judged at a raw node and a raw client.
 *
 * Requests get a Host where they lack one, and the client half-closes behind them, since many stop in the middle.
 * reject: at most what was complete before the bad byte reaches the node. accept: exactly what is complete does.
 * Responses: reject = 502 or a cut connection; accept = the status and body that the parser saw.
 * Where we differ on purpose stands in llhttp-exceptions.yaml; an exception that is not needed is an error too.
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { canary, judgeThreeWays, type Lane } from '../conformance/judge.ts';
import { type Lanes, openLanes } from '../conformance/lanes.ts';
import { finalOf, type Message, statusOf } from '../helpers/http-bytes.ts';
import { until } from '../helpers/poll.ts';
import { get, type Pieces, RawClient } from '../helpers/raw-client.ts';
import { type RawConnection, sayWhat } from '../helpers/raw-node.ts';
import { Scope } from '../helpers/scope.ts';

interface Case {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly flags: Readonly<Record<string, unknown>>;
  readonly data: string;
  readonly verdict: 'accept' | 'reject';
  readonly messages_complete: number;
  /** What the parser handed out as bodies, in order. */
  readonly bodies: readonly string[];
  readonly has_host: boolean;
}
interface Exception {
  readonly id: string;
  /** 0: not applicable to a proxy. */
  readonly refuse?: number;
  readonly forward?: true;
  readonly why: string;
}

const corpus = new URL('../../../shared/corpora/llhttp/cases.json', import.meta.url);
const present = existsSync(corpus);
const cases: readonly Case[] = present ? JSON.parse(readFileSync(corpus, 'utf8')) : [];
const exceptions = parse(readFileSync(new URL('llhttp-exceptions.yaml', import.meta.url), 'utf8')) as Exception[];
const exceptionOf = new Map(exceptions.map((one) => [one.id, one]));
const of = (type: string): Case[] => cases.filter((one) => one.type === type && exceptionOf.get(one.id)?.refuse !== 0);

const scope = new Scope();
let lanes: Lanes;
beforeAll(async () => {
  if (present) lanes = await openLanes(scope);
});
afterAll(() => scope.stop());

/** Every request line of HTTP/1.1 gets a Host behind it. */
const withHost = (one: Case): string =>
  one.has_host
    ? one.data
    : one.data.replace(
        /(^|\r\n|[A-Z])([A-Z-]+ [^\r\n]+ HTTP\/1\.1\r\n)/g,
        (_, before, line) => `${before}${line}Host: ek.test\r\n`,
      );

const methodsOf = (bytes: string): string[] =>
  [...bytes.matchAll(/([A-Z-]+) [^\r\n]+ HTTP\/1/g)].map((match) => match[1]!);

async function judgeRequest(lane: Lane, one: Case, pieces: Pieces): Promise<string[]> {
  const expected = expectedOf(one);
  lane.node.respond = sayWhat;
  const before = new Map(
    lane.node.connections.map((c) => [c, { requests: c.requests.length, faults: c.faults.length }]),
  );
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    await client.send(withHost(one), pieces);
    client.halfClose();
    await client.ended();
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  const got = finalOf(client.read(methodsOf(one.data))).map(statusOf);
  const [good, bad] = [got.filter((status) => status < 400).length, got.filter((status) => status >= 400)];
  if (expected.forwarded !== 'any' && good !== expected.forwarded) complaints.push(`${good} good answers: ${got}`);
  if (expected.forwarded === 'any' && good > one.messages_complete) complaints.push(`${good} good answers: ${got}`);
  if (expected.status !== null && bad[0] !== expected.status)
    complaints.push(`answered ${got}, not ${expected.status}`);
  if (bad.length > 1) complaints.push(`refused more than once: ${got}`);
  const arrived: Message[] = [];
  for (const connection of lane.node.connections) {
    const then = before.get(connection) ?? { requests: 0, faults: 0 };
    arrived.push(...connection.requests.slice(then.requests).filter((message) => !message.start.includes('/canary')));
    complaints.push(...connection.faults.slice(then.faults).map((fault) => `node got ${fault}`));
  }
  if (arrived.length !== good) complaints.push(`node got ${arrived.length} requests for ${good} good answers`);
  const bodies = arrived.map((message) => message.body).join('');
  if (!one.bodies.join('').startsWith(bodies)) complaints.push(`node got the bodies ${JSON.stringify(bodies)}`);
  return [...complaints, ...(await canary(lane))];
}

interface Expected {
  /** Whole requests at the node; any number up to what was complete. */
  readonly forwarded: number | 'any';
  readonly status: number | null;
}

function expectedOf(one: Case): Expected {
  const exception = exceptionOf.get(one.id);
  if (exception?.refuse !== undefined) return { forwarded: 0, status: exception.refuse };
  if (exception?.forward) return { forwarded: 1, status: null };
  return { forwarded: one.verdict === 'accept' ? one.messages_complete : 'any', status: null };
}

async function judgeResponse(lane: Lane, one: Case): Promise<string[]> {
  const exception = exceptionOf.get(one.id);
  let used: RawConnection | null = null;
  lane.node.respond = (message, connection) => {
    if (used !== null || message.start.includes('/canary')) return sayWhat(message, connection);
    used = connection;
    connection.write(one.data);
    connection.socket.end();
  };
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    await client.send(get('/case'));
    await client.answers(1);
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  const reading = client.read();
  const [answer] = finalOf(reading);
  complaints.push(...reading.faults, ...(reading.rest === '' ? [] : [`client got ${reading.rest} behind the answer`]));
  complaints.push(...answerFaults(one, exception, { answer, end: client.end }));
  const connection: RawConnection | null = used;
  if (connection === null) complaints.push('the request did not reach the node');
  else await until('end of the node’s connection', () => (connection as RawConnection).end !== 'open');
  return [...complaints, ...(await canary(lane))];
}

function answerFaults(
  one: Case,
  exception: Exception | undefined,
  { answer, end }: { answer: Message | undefined; end: RawClient['end'] },
): string[] {
  const cut = end !== 'open' && answer?.complete !== true;
  const refused = cut || (answer !== undefined && statusOf(answer) === 502);
  const wanted = Number(/HTTP\/1\.[01] +([2-5]\d\d)/.exec(one.data)?.[1] ?? 0);
  if (exception?.refuse !== undefined) return refused && !cut ? [] : [`not refused: ${answer?.start}`];
  if (one.verdict === 'reject' && !exception?.forward) return refused ? [] : [`not refused: ${answer?.start}`];
  // Cut in the middle of its body: the head may have gone out, the end of it can't.
  if (cut && one.messages_complete === 0) return [];
  if (answer === undefined || statusOf(answer) !== wanted) return [`answered ${answer?.start}, not ${wanted}`];
  // The corpus leaves out bodies of line ends alone.
  const same = one.messages_complete === 0 || one.bodies.join('').startsWith(answer.body.trim());
  return same ? [] : [`answered with the body ${JSON.stringify(answer.body)}`];
}

describe.concurrent('requests', () => {
  for (const one of of('request')) {
    it(`${one.id} ${one.name} (${one.verdict})`, async () => {
      expect(await lanes.with((lane) => judgeThreeWays((pieces) => judgeRequest(lane, one, pieces)))).toEqual([]);
    });
  }
});

describe.concurrent('responses', () => {
  for (const one of of('response')) {
    it(`${one.id} ${one.name} (${one.verdict})`, async () => {
      expect(await lanes.with((lane) => judgeResponse(lane, one))).toEqual([]);
    });
  }
});

describe('the corpus', () => {
  it.skipIf(!present)('has every case that the exceptions name, once', () => {
    const ids = cases.map((one) => one.id);
    expect(exceptions.map((one) => one.id).filter((id) => !ids.includes(id))).toEqual([]);
    expect(exceptionOf.size).toBe(exceptions.length);
  });

  it('is there', (context) => {
    if (!present) context.skip('shared/corpora/llhttp is not beside this repository: its 210 cases are skipped');
    expect(of('request').length + of('response').length).toBeGreaterThan(200);
  });
});
