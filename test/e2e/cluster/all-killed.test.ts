/** SIGKILL of all members at one moment, while clients write: what was acknowledged is there when they are back. */
import { expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Api } from './api.ts';
import { Clients } from './clients.ts';
import { Processes } from './processes.ts';
import { print, proving, soonMs } from './prove.ts';
import { differences, whole } from './whole.ts';

const rounds = proving(3, 20);
const writers = 16;

/** Writes one key after the other until it is told to stop; `acknowledged` are those that must be there for ever. */
class Writer {
  readonly acknowledged: string[] = [];
  readonly done: Promise<void>;
  #stopped = false;

  constructor(api: Api, name: string) {
    this.done = this.#write(api, name);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #write(api: Api, name: string): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const key = `${name}-${i}`;
      const { status } = await api.ask(`/api/ha/state/${key}`, { method: 'PUT', body: { value: key } });
      if (status === 200) this.acknowledged.push(key);
      else await pause(20);
    }
  }
}

it(
  `${rounds} times: every acknowledged write is there, on all of them`,
  async () => {
    const scope = testScope();
    const members = await Processes.of(scope, 3);
    const apis = members.seats.map((seat) => scope.own(new Api(seat)));
    members.start(...members.seats);
    await members.led(soonMs);
    const clients = scope.own(new Clients(members, { clients: 4 }));
    const acknowledged: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const writing = Array.from({ length: writers }, (_, i) => new Writer(apis[i % 3]!, `r${round}-w${i}`));
      await until('a write', () => writing.some((writer) => writer.acknowledged.length > 0), { withinMs: soonMs });
      await pause(400 + Math.random() * 600);
      const ended = members.running.map((seat) => members.end(seat, 'SIGKILL'));
      await Promise.all(ended);
      for (const writer of writing) writer.stop();
      members.start(...members.seats);
      await Promise.all(writing.map(({ done }) => done));
      await members.led(soonMs);
      acknowledged.push(...writing.flatMap((writer) => writer.acknowledged));
    }
    await clients.finish();
    await whole(members, apis);
    print(`all killed ${rounds} times: ${acknowledged.length} writes were acknowledged; clients: ${clients.summary()}`);
    expect(acknowledged.length).toBeGreaterThanOrEqual(rounds);
    for (const api of apis) {
      const there = await keysOf(api);
      expect(acknowledged.filter((key) => !there.has(key))).toEqual([]);
    }
    expect(clients.problems()).toEqual([]);
    await Promise.all(members.running.map((seat) => members.end(seat, 'SIGKILL')));
    expect(differences(members.seats)).toEqual([]);
  },
  120_000 + rounds * 30_000,
);

async function keysOf(api: Api): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (let after = ''; ; ) {
    const page = await api.get(`/api/ha/state?prefix=r&max=10000${after === '' ? '' : `&after=${after}`}`);
    const { entries, more } = page as { entries: readonly { key: string; value: unknown }[]; more: boolean };
    for (const { key, value } of entries) if (key === value) keys.add(key);
    after = entries.at(-1)?.key ?? '';
    if (!more) return keys;
  }
}
