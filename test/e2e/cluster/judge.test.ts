/** Would the clients notice? A store in place of the members, that is honest, or lies in one way. */
import { createServer } from 'node:http';
import { expect, it } from 'vitest';
import { until } from '../../helpers/poll.ts';
import { freePort } from '../../helpers/ports.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { Clients } from './clients.ts';
import { type Holding, problemsOf } from './lock-clients.ts';
import type { Seat } from './processes.ts';

type Lie = 'none' | 'stale reads' | 'lost writes' | 'conditions that are not looked at' | 'two holders';
interface Kept {
  readonly value: string;
  readonly revision: number;
}
type Told = readonly [status: number, body: object];

/** The paths of the API that the clients use, over a map. */
class Store {
  readonly #lie: Lie;
  readonly #keys = new Map<string, Kept>();
  readonly #before = new Map<string, Kept>();
  readonly #locks = new Map<string, { readonly owner: string; readonly token: number; until: number }>();
  #revision = 1;

  constructor(lie: Lie) {
    this.#lie = lie;
  }

  answer(method: string, path: string, body: Record<string, unknown>): Told {
    const [, , , room, name, verb] = path.split('?')[0]!.split('/') as (string | undefined)[];
    const token = Number(body['token'] ?? /token=(\d+)/.exec(path)?.[1]);
    if (room === 'locks') return this.#lock(method, name!, { ...body, token });
    if (method === 'GET') return this.#get(name!);
    if (method === 'DELETE') return this.#delete(name!);
    const found = this.#keys.get(name!);
    if (verb === 'cas' && this.#lie !== 'conditions that are not looked at') {
      const byValue = 'expected' in body;
      const holds = byValue ? (found?.value ?? null) === body['expected'] : found?.revision === body['revision'];
      if (!holds) return [409, { reason: 'conflict', revision: found?.revision ?? null }];
    }
    this.#revision += 1;
    const isLost = this.#lie === 'lost writes' && this.#revision % 5 === 0;
    if (found !== undefined) this.#before.set(name!, found);
    if (!isLost) this.#keys.set(name!, { value: String(body['value']), revision: this.#revision });
    return [200, { revision: this.#revision }];
  }

  #get(key: string): Told {
    const old = this.#lie === 'stale reads' ? this.#before.get(key) : undefined;
    const found = old ?? this.#keys.get(key);
    return found === undefined ? [404, { reason: 'absent' }] : [200, found];
  }

  #delete(key: string): Told {
    this.#revision += 1;
    return [200, { revision: this.#keys.delete(key) ? this.#revision : null }];
  }

  #lock(method: string, name: string, { owner, token, ttlMs }: Record<string, unknown>): Told {
    const now = performance.now();
    const held = this.#locks.get(name);
    const isHeld = held !== undefined && held.until > now;
    if (method === 'POST') {
      if (isHeld && this.#lie !== 'two holders') return [409, { reason: 'busy' }];
      this.#revision += 1;
      this.#locks.set(name, { owner: String(owner), token: this.#revision, until: now + Number(ttlMs) });
      return [200, { token: this.#revision }];
    }
    if (!isHeld || held.token !== token) return [404, { reason: 'absent' }];
    held.until = method === 'PUT' ? now + Number(ttlMs) : 0;
    return [200, {}];
  }
}

async function seatOf(scope: Scope, lie: Lie): Promise<Seat> {
  const store = new Store(lie);
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
      const [status, told] = store.answer(request.method ?? '', request.url ?? '', body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(told));
    });
  });
  const admin = await freePort();
  await new Promise<void>((resolve) => server.listen(admin, '127.0.0.1', resolve));
  scope.own({ stop: () => void server.close() });
  const [folder, file] = ['', ''];
  return { name: 'store', address: '', admin, port: 0, folder, file, socket: null, through: [], child: null };
}

async function problemsWith(scope: Scope, lie: Lie): Promise<readonly string[]> {
  const clients = scope.own(new Clients({ seats: [await seatOf(scope, lie)] }, { thinkMs: 5 }));
  // Enough of both for each lie to be met often.
  await until('answers', () => clients.counts.answered > 400 && clients.locks.grants > 20, { withinMs: 60_000 });
  await clients.finish();
  return clients.problems();
}

it('nothing is said against a store that is honest', async () => {
  expect(await problemsWith(testScope(), 'none')).toEqual([]);
});

for (const lie of ['stale reads', 'lost writes', 'conditions that are not looked at'] as const) {
  it(`${lie} are found`, async () => {
    expect((await problemsWith(testScope(), lie)).join()).toMatch(/^not linearizable: k/);
  });
}

it('two holders are found, in the history and by their times', async () => {
  const problems = (await problemsWith(testScope(), 'two holders')).join('\n');
  expect(problems).toMatch(/not linearizable: l/);
  expect(problems).toMatch(/two holders at one time/);
});

it('a token that does not grow is found', () => {
  const held = (token: number, from: number): Holding => ({
    ...{ lock: 'l', owner: `o${token}`, token },
    ...{ askedAt: from, heldAt: from + 1, until: from + 5 },
  });
  expect(problemsOf([held(1, 0), held(2, 10)])).toEqual([]);
  expect(problemsOf([held(2, 0), held(1, 10)])[0]).toMatch(/^a token that does not grow/);
});
