/**
 * The same tables through pools with a primary under a live lease: once as reads and writes by their methods, all at the
 * primary, and once with every request a write. What HTTP asks for does not change with who may answer.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RouteRow } from '../../src/routing/snapshot.ts';
import { startRawNode } from '../helpers/raw-node.ts';
import { Scope } from '../helpers/scope.ts';
import { PrimaryWorld, parking, split } from '../proxy/primary-world.ts';
import { startWorld } from '../proxy/world.ts';
import { pool as poolRow } from '../routing/fixtures.ts';
import { type RequestCase, type ResponseCase, readTable } from './cases.ts';
import { judgeRequest, judgeResponse, judgeThreeWays, type Lane } from './judge.ts';

/**
 * Of a write the node gets the epoch from us (test/proxy/io/writes.test.ts), and after an unframed answer to HEAD it gets a
 * connection that is sure to live (test/proxy/io/failures.test.ts): these cases mean something else there.
 */
const ofWrites = (title: string): boolean =>
  !title.endsWith('only we may set: X-HA-Epoch') && title !== 'R2 HEAD without a framing';

const requestTables = ['request-framing.yaml', 'request-line.yaml', 'fields.yaml', 'forwarding.yaml'];

for (const treatAs of [null, 'write'] as const) {
  describe(treatAs === null ? 'by method' : 'all as writes', () => {
    const scope = new Scope();
    let made: PrimaryWorld;
    let lane: Lane;

    beforeAll(async () => {
      const node = await startRawNode(scope);
      const route: Partial<RouteRow> = { treatAs };
      const readYourWrites = { ...split.readYourWrites, mode: 'session' } as const;
      const world = await startWorld(scope, [node], {
        route,
        pool: {
          errorsToEject: 0,
          retry: { ...poolRow('app', 1).retry, attempts: 1 },
          primary: { parking, split: { ...split, reads: ['primary'], readYourWrites }, alone: true },
        },
      });
      made = new PrimaryWorld(scope, world, [node]);
      made.lease(0, 1, { for: 3_600_000 });
      lane = { where: world.port, node };
    });
    afterAll(() => scope.stop());

    for (const table of requestTables) {
      describe(table, () => {
        for (const one of readTable<RequestCase>(table)) {
          if (treatAs === 'write' && !ofWrites(one.title)) continue;
          it(one.title, async () => {
            expect(await judgeThreeWays((pieces) => judgeRequest(lane, one, pieces))).toEqual([]);
          });
        }
      });
    }

    describe('responses.yaml', () => {
      for (const one of readTable<ResponseCase>('responses.yaml')) {
        if (treatAs === 'write' && !ofWrites(one.title)) continue;
        it(one.title, async () => {
          expect(await judgeThreeWays((pieces) => judgeResponse(lane, one, pieces))).toEqual([]);
        });
      }
    });

    it('after all of it: no exception, nothing held, nothing waits', async () => {
      expect(made.world.exceptions).toBe(0);
      await made.quiet();
      expect(made.count('writes')).toBeGreaterThan(0);
      expect(made.count('readsPrimary') > 0).toBe(treatAs === null);
    });
  });
}
