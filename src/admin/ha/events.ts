/** What happened and is agreed: lost locks, changes of primaries. The last thousand are kept. */
import type { Context } from 'hono';
import { json, problemResponse } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { isoTime } from './errors.ts';
import { answered, askedOf, consistencyOf, freshnessOf } from './room.ts';

const limitMax = 1000;

/** Oldest first; of more than `limit` the newest. */
export function listEvents(ha: HaActions, context: Context): Response | Promise<Response> {
  const asked = askedOf(context);
  const after = asked.whole('after', 0);
  const limit = asked.whole('limit', 100);
  const topic = asked.text('topic', '');
  const consistency = consistencyOf(asked);
  if (limit < 1 || limit > limitMax) asked.fail(`limit must be from 1 to ${limitMax}`);
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  return ha.coordinator.history(after, { consistency }).then(
    answered(ha, (read) => {
      const events = read.value.filter((event) => topic === '' || event.topic === topic).slice(-limit);
      return json({
        events: events.map((event) => ({ ...event, at: isoTime(event.at) })),
        freshness: freshnessOf(read),
      });
    }),
  );
}
