/** Clients in front of nodes that are pipelined to, and nodes that gather requests before they act. */
import { statusOf } from '../helpers/http-bytes.ts';
import { get, type RawClient } from '../helpers/raw-client.ts';
import { type RawConnection, type RawNode, type Respond, sayWhat, startRawNode } from '../helpers/raw-node.ts';
import { testScope } from '../helpers/scope.ts';
import { pool as poolRow } from '../routing/fixtures.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

export const row = poolRow('app', 0);

export interface Setup {
  readonly world: World;
  readonly nodes: readonly RawNode[];
  readonly clients: readonly RawClient[];
}

export interface Wanted {
  readonly nodes?: number;
  readonly clients?: number;
  readonly upstream?: Partial<(typeof row)['upstream']>;
  readonly options?: WorldOptions;
}

/** Clients that are connected, in front of nodes of which the first takes all while it can. No paid second try. */
export async function setup({ nodes: count = 1, clients = 4, upstream, options = {} }: Wanted = {}): Promise<Setup> {
  const scope = testScope();
  const nodes = await Promise.all(Array.from({ length: count }, () => startRawNode(scope)));
  const world = await startWorld(scope, nodes, {
    backups: nodes.map((_, i) => i).slice(1),
    ...options,
    pool: {
      errorsToEject: 0,
      retry: { ...row.retry, attempts: 1 },
      // Where everything stands still for a second, all else does, too.
      upstream: { ...row.upstream, connectTimeout: 10_000, pipelining: 8, ...upstream },
      ...options.pool,
    },
  });
  const all = Array.from({ length: clients }, () => world.client());
  await Promise.all(all.map((client) => client.connected));
  return { world, nodes, clients: all };
}

export const targets = (clients: readonly RawClient[]): string[] => clients.map((_, i) => `/${i}`);

/** Each client asks for its own; all at once. */
export function askAll(
  clients: readonly RawClient[],
  request: (target: string, i: number) => string = (t) => get(t),
): void {
  clients.forEach((client, i) => {
    client.socket.write(request(`/${i}`, i), 'latin1');
  });
}

export const bodies = async (clients: readonly RawClient[]): Promise<string[]> => {
  const all = await Promise.all(clients.map((client) => client.answers(1)));
  return all.map(([answer]) => (answer === undefined ? 'none' : `${statusOf(answer)} ${answer.body}`));
};
export const own = (clients: readonly RawClient[]): string[] => targets(clients).map((target) => `200 GET ${target}`);

/** Says nothing on a connection until so many requests are there, then acts once; what comes later is answered as usual. */
export function gather(count: number, act: (connection: RawConnection) => void): Respond {
  const acted = new Map<RawConnection, number>();
  return (request, connection) => {
    const from = acted.get(connection);
    if (from !== undefined) {
      if (connection.requests.indexOf(request) >= from) sayWhat(request, connection);
    } else if (connection.requests.length >= count) {
      acted.set(connection, connection.requests.length);
      act(connection);
    }
  };
}

/** The first connection with so many requests is dealt with; all else is answered as usual. */
export function once(count: number, act: (connection: RawConnection) => void): Respond {
  let first: RawConnection | null = null;
  const begin = gather(count, act);
  return (request, connection) => {
    first ??= connection;
    if (connection === first) begin(request, connection);
    else sayWhat(request, connection);
  };
}

export const nameOf = (connection: RawConnection, i: number): string => connection.requests[i]!.start.split(' ')[1]!;
export const sized = (what: string, ...lines: readonly string[]): string =>
  ['HTTP/1.1 200 OK', `Content-Length: ${what.length}`, ...lines, '', what].join('\r\n');
export const answerTo = (connection: RawConnection, i: number, ...lines: readonly string[]): string =>
  sized(`GET ${nameOf(connection, i)}`, ...lines);
/** A whole answer where none belongs: whoever reads on there gets it. */
export const evil = sized('evil');
export const answersTo = (connection: RawConnection, from = 0, to = connection.requests.length): string =>
  Array.from({ length: to - from }, (_, i) => answerTo(connection, from + i)).join('');
