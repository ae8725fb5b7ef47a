/** Heads as a connection reads them, whole and in pieces, with the answer that the client gets. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { statusOf } from '../../helpers/http-bytes.ts';
import { RawClient } from '../../helpers/raw-client.ts';
import { startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { settings } from '../../routing/fixtures.ts';
import { anyText, small } from '../any-head.ts';
import { byteByByte, cutAt, feedHead, said } from '../fixtures.ts';
import { startWorld } from '../world.ts';

it('a head in one write, in any pieces and byte by byte gets one answer, with the status that the reader gives it', async () => {
  const scope = testScope();
  const node = await startRawNode(scope);
  const world = await startWorld(scope, [node], { settings: { limits: { ...settings.limits, ...small } } });

  /** Status of the first answer; 0 if the connection was closed without one, as after our FIN. */
  const send = async (pieces: readonly Buffer[]): Promise<number> => {
    const client = new RawClient(world.port);
    for (const piece of pieces) {
      await client.send(piece.latin1Slice());
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.halfClose();
    await client.ended();
    const [first] = client.read().messages;
    client.stop();
    return first === undefined ? 0 : statusOf(first);
  };

  await fc.assert(
    fc.asyncProperty(anyText, fc.array(fc.nat(200), { maxLength: 4 }), async (text, cuts) => {
      const bytes = Buffer.from(text, 'latin1');
      const verdict = said(feedHead([bytes], small));
      const whole = await send([bytes]);
      const refused = /^\d{3} /.exec(verdict)?.[0];
      if (refused !== undefined) expect(whole).toBe(Number(refused));
      else if (verdict === 'more') expect(whole).toBe(0);
      else expect([0, 200, 400, 404, 502]).toContain(whole);
      expect(await send(cutAt(bytes, cuts))).toBe(whole);
      expect(await send(byteByByte(bytes))).toBe(whole);
    }),
    { numRuns: 300 },
  );
  await world.quiet();
  for (const connection of node.connections) expect(connection.faults).toEqual([]);
  expect(world.exceptions).toBe(0);
});
