/**
 * An app node for failover's tests: a log of writes, which the primary hands to the others before it answers.
 *
 *   POST /write?id=X     the primary alone: appended, on the others that answer, then 200 with its position
 *   GET  /read           how far this node is, and the last entry that it shows
 *   GET  /entries        the whole log: id, epoch, position
 *   GET  /health         { role, epoch, position, lag, primaryHeard }
 *   POST /promote, /demote, /rejoin   the hooks
 *   POST /replicate      from the primary: entries behind a common point; whatever is else there is thrown away
 *   GET  /events, or an upgrade   streams without end (node-streams.ts)
 *   GET  /arrived        of the writes of each epoch: when the first and the last admitted came, and each refused
 *
 * Epochs are checked by docs/examples/epoch-guard.mjs, the program that users are shown. Role and log are on disk, so
 * that a node that was killed comes back as what it was. What it shows may lag behind what it has (`lagMs`).
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { epochGuard } from '../../../docs/examples/epoch-guard.mjs';
import { openStream, sendEvents } from './node-streams.ts';

export interface NodeArgs {
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  /** Urls of the others. */
  readonly peers: readonly string[];
  readonly role: 'primary' | 'replica';
  readonly lagMs: number;
  readonly host: string;
  /** So many of the others must have a write before it is acknowledged. */
  readonly copies: number;
}

export interface Entry {
  readonly id: string;
  readonly epoch: number;
  /** When the write began, ms since 1970. */
  readonly at: number;
}

/** Writes of one epoch. */
export interface Arrived {
  /** When the first and the last one came that was admitted, ms since 1970; null: none was. */
  readonly first: number | null;
  readonly last: number | null;
  /** When each one came that was refused, for this node knew of a newer epoch. */
  readonly refused: readonly number[];
}

interface Push {
  readonly epoch: number;
  /** Entries before these, and the epoch of the last of them. */
  readonly after: number;
  readonly afterEpoch: number;
  readonly entries: readonly Entry[];
}

const args = JSON.parse(process.argv[2] ?? '{}') as NodeArgs;
const files = { role: join(args.folder, 'role'), log: join(args.folder, 'log') };
const guard = epochGuard(join(args.folder, 'epoch'));
const log: Entry[] = existsSync(files.log)
  ? readFileSync(files.log, 'utf8')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Entry)
  : [];
const [keptRole, keptEpoch = '0'] = existsSync(files.role) ? readFileSync(files.role, 'utf8').split(' ') : [args.role];
let role = keptRole;
/** In which it is primary; 0: by its own config, before it has heard of any. */
let primaryEpoch = Number(keptEpoch);
/** Entries up to here are shown to readers. */
let shown = log.length;
let heardAt = 0;
/** By `X-HA-Epoch`. */
const arrived: Record<string, Arrived> = {};
/** As far as each peer is known to be; null: it does not answer. */
const peers = new Map<string, number | null>(args.peers.map((url) => [url, null]));

function setRole(next: 'primary' | 'replica', epoch = 0): void {
  if (role === next && primaryEpoch === epoch) return;
  // Whom it knew as primary of before may be gone.
  if (role !== 'primary' && next === 'primary') for (const url of peers.keys()) peers.set(url, null);
  role = next;
  primaryEpoch = epoch;
  writeFileSync(files.role, `${next} ${epoch}`);
  if (next === 'primary') shown = log.length;
}

function append(entries: readonly Entry[]): void {
  log.push(...entries);
  if (entries.length > 0) appendFileSync(files.log, entries.map((one) => `${JSON.stringify(one)}\n`).join(''));
  const upTo = log.length;
  if (role === 'primary' || args.lagMs === 0) shown = upTo;
  else setTimeout(() => (shown = Math.max(shown, Math.min(upTo, log.length))), args.lagMs);
}

function cutBack(length: number): void {
  if (log.length <= length) return;
  log.length = length;
  shown = Math.min(shown, length);
  writeFileSync(files.log, log.map((one) => `${JSON.stringify(one)}\n`).join(''));
}

const epochAt = (length: number): number => log[length - 1]?.epoch ?? 0;
const json = (response: ServerResponse, value: unknown, status = 200): void => {
  response.writeHead(status, {
    'content-type': 'application/json',
    'x-ha-position': String(shown),
    'x-node': args.name,
  });
  response.end(JSON.stringify(value));
};

/** One conversation with each peer at a time; who comes meanwhile shares the next. */
const talks = new Map<string, { now: Promise<void>; next: Promise<void> | null }>();

/** Resolves when the peer has all that the log has now, or does not answer. */
function push(url: string): Promise<void> {
  const talk = talks.get(url);
  if (talk === undefined) {
    const now = pushNow(url).finally(() => talks.delete(url));
    talks.set(url, { now, next: null });
    return now;
  }
  talk.next ??= talk.now.then(() => push(url));
  return talk.next;
}

async function pushNow(url: string): Promise<void> {
  const wanted = log.length;
  let after = Math.min(peers.get(url) ?? wanted, wanted);
  for (;;) {
    const body: Push = { epoch: primaryEpoch, after, afterEpoch: epochAt(after), entries: log.slice(after, wanted) };
    const answer = await fetch(`${url}/replicate`, {
      method: 'POST',
      headers: { 'x-ha-epoch': String(primaryEpoch) },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(2000),
    }).catch(() => null);
    const said = (await answer?.json().catch(() => null)) as { position?: number } | null | undefined;
    // It is away, or it knows a newer epoch.
    if (role !== 'primary' || typeof said?.position !== 'number') return void peers.set(url, null);
    if (answer?.status === 200) return void peers.set(url, said.position);
    after = said.position;
  }
}

/** Until as many follow as a write needs, one at least; or all have answered, or not in time. */
async function followed(): Promise<void> {
  let following = 0;
  await new Promise<void>((resolve) => {
    const all = [...peers.keys()].map(async (url) => {
      await push(url);
      if (peers.get(url) !== null && ++following >= args.copies) resolve();
    });
    void Promise.all(all).then(() => resolve());
  });
}

function arrives(request: IncomingMessage, isAdmitted: boolean): void {
  const epoch = String(request.headers['x-ha-epoch'] ?? 0);
  const { first, last, refused } = arrived[epoch] ?? { first: null, last: null, refused: [] };
  const now = Date.now();
  arrived[epoch] = isAdmitted
    ? { first: first ?? now, last: now, refused }
    : { first, last, refused: [...refused, now] };
}

const copiesOf = (position: number): number =>
  [...peers.values()].filter((known) => known !== null && known >= position).length;

async function write(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = new URL(request.url ?? '/', 'http://x').searchParams.get('id') ?? '';
  await text(request);
  const epoch = guard.epoch;
  if (role !== 'primary') return json(response, { error: 'not primary' }, 409);
  // Writes of an epoch go to its primary only.
  if (epoch > primaryEpoch) setRole('primary', epoch);
  append([{ id, epoch, at: Date.now() }]);
  const position = log.length;
  const following = [...peers].filter(([, known]) => known !== null).map(([url]) => url);
  await Promise.all(following.map(push));
  // Whoever heard of this epoch before this node did has refused it meanwhile, and follows if asked once more.
  if (copiesOf(position) < args.copies) await followed();
  if (role !== 'primary' || guard.epoch !== epoch) return json(response, { error: 'not primary any more' }, 409);
  const copies = copiesOf(position);
  if (copies < args.copies) return json(response, { error: `on ${copies} other nodes only` }, 503);
  response.writeHead(200, {
    'content-type': 'application/json',
    'x-ha-position': String(position),
    'x-node': args.name,
  });
  response.end(JSON.stringify({ node: args.name, id, position, epoch }));
}

function replicate(body: Push, response: ServerResponse): void {
  setRole('replica');
  heardAt = Date.now();
  const { after, afterEpoch, entries } = body;
  if (after > log.length || epochAt(after) !== afterEpoch)
    return json(response, { position: Math.min(log.length, Math.max(0, after - 1)) }, 412);
  const differs = entries.findIndex(
    (entry, at) => log[after + at]?.epoch !== entry.epoch || log[after + at]?.id !== entry.id,
  );
  if (differs !== -1) {
    cutBack(after + differs);
    append(entries.slice(differs));
  }
  json(response, { position: after + entries.length });
}

async function rejoin(response: ServerResponse): Promise<void> {
  setRole('replica');
  const from = Date.now();
  while (heardAt < from && Date.now() < from + 4000) await new Promise((resolve) => setTimeout(resolve, 20));
  json(response, { position: shown }, heardAt >= from ? 200 : 503);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0];
  if (path === '/health') {
    guard.admit(request, { setHeader: () => {}, writeHead: () => ({ end: () => {} }) } as unknown as ServerResponse);
    if (role === 'primary' && primaryEpoch === 0) setRole('primary', guard.epoch);
    const primaryHeard = heardAt === 0 ? null : Date.now() - heardAt;
    return json(response, { status: 'ok', role, epoch: guard.epoch, position: shown, lag: 0, primaryHeard });
  }
  if (path === '/entries') return json(response, log);
  if (path === '/arrived') return json(response, arrived);
  if (path === '/read') return json(response, { node: args.name, position: shown, last: log[shown - 1]?.id ?? null });
  const isAdmitted = guard.admit(request, response);
  if (path === '/write') arrives(request, isAdmitted);
  if (!isAdmitted) return void request.resume();
  if (path === '/write') return write(request, response);
  if (path === '/events') return sendEvents(request, response);
  const body = await text(request);
  if (path === '/replicate') return replicate(JSON.parse(body) as Push, response);
  if (path === '/promote') {
    setRole('primary', guard.epoch);
    // Whoever follows is known before the first write comes; nobody waits for one that is cut off.
    await followed();
    return json(response, { position: log.length });
  }
  if (path === '/demote') {
    setRole('replica');
    return json(response, { position: log.length });
  }
  if (path === '/rejoin') return rejoin(response);
  json(response, { error: 'no such path' }, 404);
}

setInterval(() => {
  if (role === 'primary') for (const url of peers.keys()) void push(url);
}, 100);

const server = http.createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});
server.on('upgrade', (request, socket) => openStream(request, socket, args.name));
server.keepAliveTimeout = 60_000;
server.listen(args.port, args.host, () => process.stdout.write('listening\n'));
