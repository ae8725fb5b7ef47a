/** What `check` says of each pool with failover: how long writes may wait at worst, and what could be lost. */
import { formatDuration } from '../base/units.ts';
import { type FailoverTimes, roundTripMost, worstCase } from '../config/failover-times.ts';
import type { Config, FailoverConfig, HealthConfig, PoolConfig } from '../config/model.ts';

export function failoverAdvice(config: Config): string[] {
  const pools = config.pools.flatMap((pool) => {
    const { failover, health } = pool;
    return failover === null || health === null ? [] : [{ pool, failover, health }];
  });
  const voters = config.cluster?.expect ?? 1;
  const lines = pools.flatMap(({ pool, failover, health }) => [
    timesOf(pool, worstCase({ failover, health, voters }), failover),
    lossOf(pool, failover, health),
  ]);
  if (pools.length > 0 && voters > 2)
    lines.push(
      `the crash of a leader stops no writes to healthy primaries while round trips between members take up to ` +
        `${formatDuration(roundTripMost)}: a write lease covers the longest election, 3 heartbeats and 2 round trips.`,
    );
  return lines;
}

function timesOf({ name }: PoolConfig, times: FailoverTimes, failover: FailoverConfig): string {
  const { detect, decide, fence, promote, total } = times;
  const steps = `detect ${formatDuration(detect)}, decide ${formatDuration(decide)}, fence ${formatDuration(fence)}`;
  const last = promote > 0 ? `, promote hook ${formatDuration(promote)}` : '';
  if (failover.mode === 'manual')
    return `pool ${name}: only an operator changes its primary (failover.mode: manual). When it dies, writes wait for ${formatDuration(failover.parking.time)} and are refused after that.`;
  return `pool ${name}: when its primary dies, writes wait ${formatDuration(total)} at worst (${steps}${last}); one whose port refuses is found within the time of ${failover.failureThreshold} checks 50 ms apart.`;
}

function lossOf({ name, split }: PoolConfig, { maxLag }: FailoverConfig, health: HealthConfig): string {
  const bound = split?.readYourWrites.mode === 'off' ? '' : positionless(split?.readYourWrites.bound ?? 0);
  if (health.kind === 'tcp')
    return `pool ${name}: its checks only connect, so nodes report no positions and nobody knows what a replica lacks: a failover may lose writes that were acknowledged, unless a node answers only when its replicas have them.${bound}`;
  const lag =
    maxLag === null
      ? 'any node'
      : maxLag === 0
        ? 'only one that has every position that clients were told of'
        : `one that lacks up to ${maxLag} positions, which are lost then,`;
  return `pool ${name}: where its health answers report positions, ${lag} becomes primary; where they report none, nobody knows what a replica lacks, and a failover may lose acknowledged writes.${bound}`;
}

const positionless = (bound: number): string =>
  ` Without positions a client reads from the primary for ${formatDuration(bound)} after its own write.`;
