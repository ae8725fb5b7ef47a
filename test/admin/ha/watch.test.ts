import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultLimits } from '../../../src/cluster/replica/model.ts';
import { until } from '../../helpers/poll.ts';
import { startWorld, type World } from '../fixture.ts';
import { type ClusterOfOne, clusterOfOne } from './fixture.ts';

let world: World;
let cluster: ClusterOfOne;
const open: ClientRequest[] = [];
beforeEach(async () => {
  cluster = clusterOfOne({ watchersMax: 2, limits: { ...defaultLimits, changes: 5 } });
  world = await startWorld({}, cluster.ha);
});
afterEach(async () => {
  for (const one of open.splice(0)) one.destroy();
  await world.close();
});

interface Told {
  readonly event: string;
  readonly id: string | null;
  readonly data: Record<string, unknown>;
}

interface Watching {
  readonly request: ClientRequest;
  readonly answer: IncomingMessage;
  /** All told so far. */
  told(): Told[];
  ended: boolean;
}

function watch(query = '', headers: Record<string, string> = {}): Promise<Watching> {
  return new Promise((resolve, reject) => {
    const path = `/api/ha/watch${query}`;
    const sent = request({ host: '127.0.0.1', port: world.port, path, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('error', () => {});
      answer.on('end', () => {
        watching.ended = true;
      });
      const told = (): Told[] =>
        text
          .split('\n\n')
          .slice(0, -1)
          .filter((one) => !one.startsWith(':'))
          .map(parse);
      const watching: Watching = { request: sent, answer, told, ended: false };
      resolve(watching);
    });
    sent.on('error', reject);
    sent.end();
    open.push(sent);
  });
}

function parse(block: string): Told {
  const field = (name: string): string | null => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? null;
  return { event: field('event') ?? '', id: field('id'), data: JSON.parse(field('data') ?? '{}') };
}

const set = async (key: string, value: unknown): Promise<number> => {
  const written = await cluster.coordinator.kv.set(key, new TextEncoder().encode(JSON.stringify(value)));
  if (!written.ok || !written.value.committed) throw new Error('not written');
  return written.value.value;
};

describe('GET /api/ha/watch', () => {
  it('tells changes in order, with what is asked for only', async () => {
    const watching = await watch('?prefix=a/');
    expect(watching.answer.headers['content-type']).toBe('text/event-stream');
    const one = await set('a/1', { n: 1 });
    await set('b', 0);
    await cluster.coordinator.kv.delete('a/1');
    const told = await until('three events', () => (watching.told().length >= 3 ? watching.told() : null));
    expect(told).toMatchObject([
      { event: 'begin', data: { prefix: 'a/' } },
      {
        event: 'change',
        id: String(one),
        data: { key: 'a/1', value: { n: 1 }, revision: one, deleted: false, previousRevision: null },
      },
      { event: 'change', data: { key: 'a/1', value: null, deleted: true, previousRevision: one } },
    ]);
  });

  it('goes on where a reader left off, by query or by Last-Event-ID', async () => {
    const one = await set('a', 1);
    const two = await set('a', 2);
    for (const watching of [await watch(`?after=${one}`), await watch('', { 'last-event-id': String(one) })]) {
      await until('the missed change', () => watching.told().length === 2);
      expect(watching.told()[1]).toMatchObject({ id: String(two), data: { value: 2 } });
    }
  });

  it('of revisions that are gone is 410, of an id that is none 422', async () => {
    const first = await set('a', 0);
    for (let i = 1; i < 20; i++) await set('a', i);
    const gone = await watch(`?after=${first}`);
    expect(gone.answer.statusCode).toBe(410);
    expect((await watch('', { 'last-event-id': 'x' })).answer.statusCode).toBe(422);
    expect(cluster.coordinator.hub.watchers).toBe(0);
  });

  it('ends its watch when the reader is gone', async () => {
    const watching = await watch();
    expect(cluster.coordinator.hub.watchers).toBe(1);
    watching.request.destroy();
    await until('no watcher', () => cluster.coordinator.hub.watchers === 0);
  });

  it('is 503 beyond the bound of watchers, and free again after', async () => {
    const first = await watch();
    await watch();
    const refused = await watch();
    expect(refused.answer.statusCode).toBe(503);
    expect(refused.answer.headers['retry-after']).toBeUndefined();
    first.request.destroy();
    await until('one watcher', () => cluster.coordinator.hub.watchers === 1);
    expect((await watch()).answer.statusCode).toBe(200);
  });

  it('says when it is over', async () => {
    const watching = await watch();
    cluster.coordinator.close();
    await until('the end', () => watching.ended);
    expect(watching.told().at(-1)).toMatchObject({ event: 'ended', data: { why: 'closed' } });
  });

  it('ends a reader that falls behind, and keeps nothing for it', async () => {
    const watching = await watch();
    watching.answer.pause();
    const large = 'x'.repeat(1_000_000);
    for (let i = 0; i < 40 && cluster.coordinator.hub.watchers > 0; i++) await set('a', large);
    await until('no watcher', () => cluster.coordinator.hub.watchers === 0);
    watching.answer.resume();
    await until('the end', () => watching.ended);
    expect(watching.told().at(-1)).toMatchObject({ event: 'ended', data: { why: 'slow' } });
  });
});
