/** Which way to a node an exchange takes. */
import type { Pool } from '../pool.ts';
import type { Exchange } from './exchange.ts';
import { Placement } from './placement.ts';
import { ReadPlacement } from './read-placement.ts';
import { WritePlacement } from './write-placement.ts';

export function placementOf(exchange: Exchange, pool: Pool): Placement {
  if (pool.row.primary === null) return new Placement(exchange, pool);
  return exchange.writes ? new WritePlacement(exchange, pool) : new ReadPlacement(exchange, pool);
}
