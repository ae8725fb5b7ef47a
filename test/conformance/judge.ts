/**
 * Runs one case of the tables in a lane and says what was wrong with it, in words; an empty list is a pass.
 *
 * A lane is one listener of the proxy with a raw recording node behind it, which nobody else uses meanwhile.
 * Refused = the node saw nothing; or, where the head was good and the body not (`begun`), a cut-off message on a
 * connection that is then destroyed. Forwarded = exactly one request per request, readable in one way, nothing behind it.
 * After every case a clean request on a new connection must get its own answer: that shows shifted queues that no status
 * shows.
 */
import { field, finalOf, type Message, statusOf } from '../helpers/http-bytes.ts';
import { patienceMs, until } from '../helpers/poll.ts';
import { allPieces, get, type Pieces, RawClient, type Where } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, sayWhat } from '../helpers/raw-node.ts';
import { resetOnceRead } from '../helpers/tcp.ts';
import { type Expanded, headBytes, type Looks, type RequestCase, type ResponseCase, toBytes } from './cases.ts';

export interface Lane {
  readonly where: Where;
  readonly node: RawNode;
}

/** All three ways; complaints carry the way they were seen in. */
export async function judgeThreeWays(judge: (pieces: Pieces) => Promise<string[]>): Promise<string[]> {
  const complaints: string[] = [];
  for (const pieces of allPieces) complaints.push(...(await judge(pieces)).map((text) => `${pieces}: ${text}`));
  return complaints;
}

/** `withinMs`: how long an answer or an end is waited for. */
export async function judgeRequest(
  lane: Lane,
  one: Expanded<RequestCase>,
  pieces: Pieces,
  withinMs = patienceMs,
): Promise<string[]> {
  const { it } = one;
  const statuses: readonly number[] = it.answers ?? [];
  const before = mark(lane.node);
  lane.node.respond = sayWhat;
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    await client.send(one.bytes, pieces);
    if (it.finish) client.halfClose();
    const mustEnd = it.refused !== undefined || it.gone === true || it.closes === true;
    if (mustEnd) await client.ended(withinMs);
    else await client.answers(statuses.length, { methods: methodsOf(one.bytes), withinMs });
    complaints.push(...clientSide(client, one));
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  complaints.push(...(await canary(lane)), ...(await nodeSide(lane.node, before, { it, withinMs })));
  return complaints;
}

export async function judgeResponse(lane: Lane, one: Expanded<ResponseCase>, pieces: Pieces): Promise<string[]> {
  const { it } = one;
  const request = headBytes(it.request ?? 'GET /case HTTP/1.1\nHost: ek.test');
  let used: RawConnection | null = null;
  lane.node.respond = (message, connection) => {
    if (!message.start.includes('/case')) return sayWhat(message, connection);
    // Every try gets the same answer; the last one's connection is judged.
    used = connection;
    void sendAnswer(connection, one, pieces);
  };
  const client = new RawClient(lane.where);
  const complaints: string[] = [];
  try {
    await client.send(request);
    await client.answers(1, { methods: methodsOf(request) });
    if (it.cut) await client.ended();
    complaints.push(...answerFaults(client, it, methodsOf(request)));
  } catch (error) {
    complaints.push((error as Error).message);
  } finally {
    client.stop();
  }
  if (used === null) return [...complaints, 'the request never reached the node', ...(await canary(lane))];
  // Bytes that a node sends behind its answer may find the next request on the wire: only then is the canary fair.
  if (it.connection === 'destroyed' && !(await closed(used)))
    complaints.push('the node’s connection was not destroyed');
  complaints.push(...(await canary(lane)));
  if (it.connection === 'kept' && !reused(used)) complaints.push('the node’s connection was not used again');
  return complaints;
}

async function sendAnswer(connection: RawConnection, one: Expanded<ResponseCase>, pieces: Pieces): Promise<void> {
  const step = pieces === 'bytes' ? Math.ceil(one.bytes.length / 3000) : one.bytes.length;
  const parts =
    pieces === 'lines'
      ? one.bytes.split(/(?<=\r)(?=\n)/)
      : Array.from({ length: Math.ceil(one.bytes.length / step) }, (_, i) => one.bytes.slice(i * step, (i + 1) * step));
  for (const part of parts) {
    if (connection.end === 'closed') return;
    connection.write(part);
    if (pieces !== 'whole') await new Promise((resolve) => setImmediate(resolve));
  }
  if (one.it.then === 'fin') connection.socket.end();
  // A reset would throw away what has not been read yet.
  if (one.it.then === 'reset') await resetOnceRead(connection.socket);
}

function clientSide(client: RawClient, one: Expanded<RequestCase>): string[] {
  const { it } = one;
  const reading = client.read(methodsOf(one.bytes));
  const finals = finalOf(reading);
  const got = finals.map(statusOf);
  const complaints = reading.faults.map((fault) => `client got ${fault}`);
  if (reading.rest !== '')
    complaints.push(`client got ${JSON.stringify(reading.rest.slice(0, 80))} behind the answers`);
  if (it.gone) {
    if (got.some((status) => status < 400)) complaints.push(`answered with ${got.join(', ')}`);
    return complaints;
  }
  if (it.refused !== undefined) {
    const allowed = typeof it.refused === 'number' ? [it.refused] : it.refused;
    if (got.length !== 1 || !allowed.includes(got[0]!))
      complaints.push(`answered with ${list(got)}, not ${allowed.join(' or ')}`);
    if (client.end === 'reset') complaints.push('refusal ended with a reset, which may eat the answer');
    if (finals[0] && field(finals[0], 'connection')?.toLowerCase() !== 'close')
      complaints.push('refusal without Connection: close');
    return complaints;
  }
  if (list(got) !== list(it.answers ?? []))
    complaints.push(`answered with ${list(got)}, not ${list(it.answers ?? [])}`);
  if (it.client && finals[0]) complaints.push(...unlike(finals[0], it.client, 'answer'));
  return complaints;
}

function answerFaults(client: RawClient, it: ResponseCase, methods: readonly string[]): string[] {
  const reading = client.read(methods);
  const [answer] = finalOf(reading);
  const complaints = reading.faults.map((fault) => `client got ${fault}`);
  if (reading.rest !== '') complaints.push(`client got ${JSON.stringify(reading.rest.slice(0, 80))} behind the answer`);
  const whole = answer?.complete === true;
  const wasCut = client.end !== 'open' && !whole;
  if (it.orCut && wasCut) return complaints;
  if (answer === undefined) return [...complaints, `no answer; connection ${client.end}`];
  if (statusOf(answer) !== Number(it.status)) complaints.push(`status ${statusOf(answer)}, not ${it.status}`);
  if (it.cut && !wasCut) complaints.push('a truncated answer passed for a whole one');
  if (!it.cut && !whole) complaints.push(`answer not whole; connection ${client.end}`);
  const interim = reading.messages.map(statusOf).filter((status) => status < 200);
  if (!it.orCut && list(interim) !== list(it.interim ?? []))
    complaints.push(`1xx: ${list(interim)}, not ${list(it.interim ?? [])}`);
  if (it.client) complaints.push(...unlike(answer, it.client, 'answer'));
  return complaints;
}

/** How far each connection of a node had come. */
type Mark = ReadonlyMap<
  RawConnection,
  { readonly requests: number; readonly faults: number; readonly received: number }
>;

const mark = (node: RawNode): Mark =>
  new Map(
    node.connections.map((one) => [
      one,
      { requests: one.requests.length, faults: one.faults.length, received: one.received },
    ]),
  );

async function nodeSide(
  node: RawNode,
  before: Mark,
  { it, withinMs }: { readonly it: RequestCase; readonly withinMs: number },
): Promise<string[]> {
  const requests: Message[] = [];
  const complaints: string[] = [];
  for (const connection of node.connections) {
    const then = before.get(connection) ?? { requests: 0, faults: 0, received: 0 };
    if (connection.received === then.received) continue;
    requests.push(...connection.requests.slice(then.requests).filter((one) => !one.start.includes('/canary-')));
    complaints.push(...connection.faults.slice(then.faults).map((fault) => `node got ${fault}`));
    if (connection.tail === '') continue;
    const begun = `node got ${JSON.stringify(connection.tail.slice(0, 200))}`;
    if (!it.begun) complaints.push(`${begun} and never the rest`);
    else if (!(await closed(connection, withinMs))) complaints.push(`${begun} on a connection that was not destroyed`);
  }
  const wanted = (it.answers ?? []).filter((status) => status === 200).length;
  if (requests.length !== wanted) {
    complaints.push(
      `node got ${requests.length} requests, not ${wanted}: ${requests.map((one) => one.start).join(' | ')}`,
    );
  }
  for (const [i, request] of requests.entries()) {
    complaints.push(...requestFaults(request), ...unlike(request, it.node?.[i] ?? {}, `request ${i + 1} at the node`));
  }
  return complaints;
}

/** Fields that the proxy owns: whatever the client sent, the node sees each of them once. */
const owned = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'x-request-id',
];

function requestFaults(request: Message): string[] {
  const twice = owned.filter((name) => (request.fields.get(name)?.length ?? 0) > 1);
  const complaints = twice.map((name) => `node got ${name} ${request.fields.get(name)?.length} times`);
  if (request.trailers.length > 0) complaints.push(`node got trailers ${JSON.stringify(request.trailers)}`);
  return complaints;
}

function unlike(message: Message, looks: Looks, what: string): string[] {
  const lines = message.lines.map(foldName);
  const complaints: string[] = [];
  if (looks.line !== undefined && message.start !== toBytes(looks.line)) {
    complaints.push(`${what} begins ${JSON.stringify(message.start)}, not ${JSON.stringify(looks.line)}`);
  }
  for (const line of looks.has ?? []) {
    if (!lines.includes(foldName(toBytes(line))))
      complaints.push(`${what} lacks ${line}; has ${JSON.stringify(message.lines)}`);
  }
  for (const name of looks.named ?? []) {
    if (!message.fields.has(name.toLowerCase()))
      complaints.push(`${what} lacks ${name}; has ${JSON.stringify(message.lines)}`);
  }
  for (const name of looks.lacks ?? []) {
    if (message.fields.has(name.toLowerCase()))
      complaints.push(`${what} has ${name}: ${message.fields.get(name.toLowerCase())?.join(' | ')}`);
  }
  if (looks.body !== undefined && message.body !== toBytes(looks.body)) {
    complaints.push(
      `${what} has the body ${JSON.stringify(message.body.slice(0, 80))}, not ${JSON.stringify(looks.body)}`,
    );
  }
  if (looks.framing !== undefined && message.framing !== looks.framing) {
    complaints.push(`${what} is framed by ${message.framing}, not ${looks.framing}`);
  }
  return complaints;
}

const foldName = (line: string): string => line.replace(/^[^:]*:[ \t]*/, (name) => `${name.trim().toLowerCase()} `);

let canaries = 0;

/** A clean request on a new connection must get its own answer. */
export async function canary(lane: Lane): Promise<string[]> {
  const target = `/canary-${++canaries}`;
  const client = new RawClient(lane.where);
  try {
    await client.send(get(target));
    const [answer] = await client.answers(1);
    if (answer && statusOf(answer) === 200 && answer.body === `GET ${target}`) return [];
    return [`canary ${target} was answered with ${JSON.stringify(client.received.slice(0, 200))}`];
  } catch (error) {
    return [`canary ${target}: ${(error as Error).message}`];
  } finally {
    client.stop();
  }
}

const reused = (connection: RawConnection): boolean =>
  connection.end === 'open' && connection.requests.at(-1)?.start.includes('/canary-') === true;

/** Whether the node's connection ends. */
export async function closed(connection: RawConnection, withinMs = patienceMs): Promise<boolean> {
  if (connection.end === 'fin') connection.socket.end();
  return until('close', () => connection.end !== 'open', { withinMs }).then(
    () => true,
    () => false,
  );
}

const list = (statuses: readonly number[]): string => (statuses.length === 0 ? 'nothing' : statuses.join(', '));

/** Methods of the requests in the bytes, so far as their heads can be told apart. */
const methodsOf = (bytes: string): string[] =>
  [...bytes.matchAll(/(?:^|\n)([A-Z]+) \S+ HTTP\/1/g)].map((match) => match[1]!);
