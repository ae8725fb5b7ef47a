/** Whether members agree in everything: in what they show, and in what their disks hold. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { until } from '../../helpers/poll.ts';
import type { Api } from './api.ts';
import type { Processes, Seat } from './processes.ts';
import { soonMs } from './prove.ts';

/** All of a member's keys, with the place in the log at which it showed them. */
async function stateOf(api: Api): Promise<{ readonly index: unknown; readonly text: string }> {
  const { freshness, ...rest } = await api.get('/api/ha/state?prefix=&max=10000&consistency=eventual');
  return { index: (freshness as { readonly index: unknown }).index, text: JSON.stringify(rest) };
}

/** One leader that all know, a write accepted through each, and the same state at the same index everywhere. */
export async function whole(members: Processes, apis: readonly Api[]): Promise<Seat> {
  const leader = await members.led(soonMs);
  for (const { seat } of apis) {
    const isTaken = (): Promise<boolean> => members.put(seat, `through-${seat.name}`, 'it');
    await until(`a write through ${seat.name}`, isTaken, { withinMs: soonMs });
  }
  const look = async (): Promise<boolean> => {
    const states = await Promise.all(apis.map(stateOf));
    const isLevel = states.every(({ index }) => index === states[0]!.index);
    if (isLevel && states.some(({ text }) => text !== states[0]!.text))
      throw new Error(`states differ at ${states[0]!.index}:\n${states.map(({ text }) => text).join('\n')}`);
    return isLevel;
  };
  await until('the same state at the same index', look, { withinMs: soonMs });
  return leader;
}

const files = ['journal.db', 'journal.db-wal'] as const;

/** Entries by index, each as its term and bytes. Read from a copy: an opening changes the files. */
function logOf(seat: Seat): ReadonlyMap<number, string> {
  const copy = mkdtempSync(join(seat.folder, 'copy-'));
  for (const file of files) {
    const from = join(seat.folder, 'data', file);
    if (existsSync(from)) copyFileSync(from, join(copy, file));
  }
  const db = new DatabaseSync(join(copy, 'journal.db'));
  try {
    const rows = db.prepare('SELECT idx, term, hex(bytes) AS text FROM entry').all();
    return new Map(rows.map((row) => [Number(row['idx']), `${row['term']} ${row['text']}`]));
  } finally {
    db.close();
    rmSync(copy, { recursive: true });
  }
}

/** Where the logs of members that have ended differ, up to the end of the shortest; empty if they don't. */
export function differences(seats: readonly Seat[]): readonly string[] {
  const logs = seats.map((seat) => ({ seat, log: logOf(seat) }));
  const end = Math.min(...logs.map(({ log }) => Math.max(...log.keys())));
  const [first, ...others] = logs;
  return others.flatMap(({ seat, log }) =>
    [...log].flatMap(([index, entry]) => {
      const same = index > end || !first!.log.has(index) || first!.log.get(index) === entry;
      return same ? [] : [`entry ${index} of ${seat.name} is not that of ${first!.seat.name}`];
    }),
  );
}
