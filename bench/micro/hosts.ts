/**
 * What choosing a route costs where each route is a host of its own: `node bench/micro/hosts.ts`. The hosts are asked for in
 * an order that no cache foresees. Each is cut anew from a head, as the engine does; the cutting is measured alone and
 * taken off. routes.ts has other tables.
 */
import { compileIndex } from '../../src/routing/match.ts';
import { runWhole } from '../../src/routing/slice.ts';
import type { RequestFacts } from '../../src/routing/snapshot.ts';
import { measure, printTable, type Row } from './harness.ts';
import { routeRow } from './route-row.ts';

/** No divisor of a table's size: every host comes once before any comes again. */
const stride = 7919;
class Facts implements RequestFacts {
  readonly listener = 0;
  readonly path = '/100';
  readonly method = 'GET';
  host = '';
  header(): undefined {
    return undefined;
  }
}

function row(count: number): Row {
  const rows = Array.from({ length: count }, (_, slot) =>
    routeRow(slot, { host: `site-${slot}.example.com`, path: null, methods: [] }),
  );
  const index = runWhole(compileIndex(rows, {}));
  const heads = rows.map((_, i) => Buffer.from(`${rows[(i * stride) % count]!.host} /100`));
  const facts = new Facts();
  const loop = (each: () => number) => (ops: number) => {
    let sum = 0;
    for (let i = 0; i < ops; i++) {
      const text = heads[i % count]!.latin1Slice();
      facts.host = text.slice(0, text.indexOf(' '));
      sum += each();
    }
    return sum;
  };
  const cutting = measure(loop(() => facts.host.length));
  const match = measure(loop(() => index.find(facts)));
  return { hosts: count, match: `${(match.median - cutting.median).toFixed(0)} ns` };
}

printTable('cost of one match, by number of hosts', [10, 1000, 10_000].map(row));
