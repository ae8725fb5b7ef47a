/** Members that were never there before form one cluster, in whatever order they come. */
import { it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Processes, type Seat } from './processes.ts';
import { print, soonMs } from './prove.ts';

const orders: Readonly<Record<string, (seats: readonly Seat[]) => readonly Seat[]>> = {
  'all at once': (seats) => seats,
  'one after the other, the last one first': (seats) => [...seats].reverse(),
};

for (const count of [3, 5]) {
  for (const [words, order] of Object.entries(orders)) {
    it(`${count} members, ${words}`, async () => {
      const members = await Processes.of(testScope(), count);
      for (const seat of order(members.seats)) {
        members.start(seat);
        if (words !== 'all at once') await pause(300);
      }
      const last = performance.now();
      await members.ready();
      const ready = performance.now();
      await members.led(soonMs);
      const look = async (): Promise<boolean> => {
        const shown = await Promise.all(members.seats.map((seat) => members.shown(seat)));
        return (
          shown.every(({ state }) => state === 'STABLE') && new Set(shown.map(({ cluster }) => cluster)).size === 1
        );
      };
      await until('all are in one stable cluster', look, { withinMs: soonMs, everyMs: 25 });
      const formed = performance.now();
      const [all, beyond] = [formed - last, Math.max(0, formed - ready)].map((ms) => (ms / 1000).toFixed(2));
      print(`${count} members, ${words}: formed ${all} s after the last was started, ${beyond} s after all were ready`);
      await members.written(members.seats[0]!, 'k', 'v');
    });
  }
}
