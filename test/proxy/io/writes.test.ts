/** Writes to a pool with a primary: leases, parking and cutting, by the rules of agreement that they keep. */
import { describe, expect, it } from 'vitest';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { until } from '../../helpers/poll.ts';
import { ask, get } from '../../helpers/raw-client.ts';
import { hrtime, post, primaryWorld, received } from '../primary-world.ts';

describe('a write', () => {
  it('goes to the primary of the record, with its epoch, whatever the client says (2.1)', async () => {
    const made = await primaryWorld();
    made.lease(1, 7);
    const answer = await ask(made.world.port, post('/w', 'body', 'X-HA-Epoch: 99'));
    expect([statusOf(answer), answer.body]).toEqual([200, 'POST /w']);
    expect(made.nodes.map(received)).toEqual([[], ['POST /w 7']]);
    await made.quiet();
    expect(made.world.outcomes[0]).toMatchObject({ end: 'ok', epoch: 7, node: 'n-1' });
    expect([made.count('writes'), made.count('parked')]).toEqual([1, 0]);
  });

  it('waits for leave, then goes to whoever has it', async () => {
    const made = await primaryWorld();
    const client = made.world.client();
    await client.send(post('/w'));
    await until('parked', () => made.parked === 1);
    made.lease(1, 2);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(200);
    expect(made.nodes.map(received)).toEqual([[], ['POST /w 2']]);
    await made.quiet(1);
  });

  it('that still runs at the end of its lease is cut, by the thread itself, and is not repeated (2.3)', async () => {
    const made = await primaryWorld();
    made.nodes[0]!.respond = () => {};
    made.lease(0, 1, { for: 300, cutIn: 500 });
    const client = made.world.client();
    const began = hrtime();
    await client.send(post('/w'));
    await until('sent', () => made.writing === 1);
    const [answer] = await client.answers(1);
    expect(statusOf(answer!)).toBe(504);
    expect(hrtime() - began).toBeGreaterThan(400);
    await until('the end at the node', () => made.nodes[0]!.connections[0]!.end !== 'open');
    made.lease(1, 2);
    await made.quiet();
    expect(made.nodes.map(received)).toEqual([['POST /w 1'], []]);
    expect(made.world.outcomes[0]).toMatchObject({ end: 'cut', epoch: 1 });
    expect(field(answer!, 'connection')).toBe('close');
    expect(await ask(made.world.port, get('/r')).then(statusOf)).toBe(200);
  });
});
