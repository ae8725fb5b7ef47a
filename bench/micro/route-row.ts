/** A route's row with nothing in it but what it matches: for benchmarks of matching. */
import type { RouteRow } from '../../src/routing/snapshot.ts';

const noEdits: RouteRow['requestFields'] = { set: [], remove: [] };

export function routeRow(slot: number, match: Pick<RouteRow, 'host' | 'path' | 'methods'>): RouteRow {
  return {
    ...match,
    name: `route-${slot}`,
    slot,
    listen: [],
    headers: [],
    action: { kind: 'redirect', to: '/', status: 308 },
    requestFields: noEdits,
    responseFields: noEdits,
    abortOnFin: false,
    treatAs: null,
  };
}
