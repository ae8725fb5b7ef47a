/** What `config print` shows of a pool with `failover`. */
import type { FailoverConfig, HookConfig, NodeConfig, SplitConfig } from './model.ts';
import { duration, type Entries, leaf, list, map, type Out, short, size, text } from './print-out.ts';

export const roleOut = ({ role, priority, candidate }: NodeConfig): Entries => [
  ['role', leaf(role)],
  ['priority', leaf(priority)],
  ['candidate', leaf(candidate)],
];

export function failoverOut(failover: FailoverConfig): Out {
  const { parking } = failover;
  const hooks = (['demote', 'promote', 'rejoin'] as const).flatMap((kind) => {
    const hook = failover[kind];
    return hook === null ? [] : [[kind, hookOut(hook)] as const];
  });
  return map([
    ['mode', short(failover.mode)],
    ['failureThreshold', leaf(failover.failureThreshold)],
    ['recoveryWait', duration(failover.recoveryWait)],
    ['failback', leaf(failover.failback)],
    ['maxAttempts', leaf(failover.maxAttempts)],
    ['retryAfter', duration(failover.retryAfter)],
    ['minInterval', duration(failover.minInterval)],
    ['maxLag', leaf(failover.maxLag ?? 'any')],
    ['verify', leaf(failover.verify)],
    ['withoutQuorum', leaf(failover.withoutQuorum)],
    ['switchTimeout', duration(failover.switchTimeout)],
    ...hooks,
    [
      'parking',
      map([
        ['writes', leaf(parking.writes)],
        ['bytes', size(parking.bytes)],
        ['time', duration(parking.time)],
      ]),
    ],
  ]);
}

const hookOut = (hook: HookConfig): Out =>
  map([
    hook.kind === 'post' ? ['post', text(hook.url)] : ['exec', list(hook.argv.map((one) => text(one)))],
    ['timeout', duration(hook.timeout)],
  ]);

export function splitOut({ writes, reads, maxLag, minReplicas, stale, readYourWrites }: SplitConfig): Out {
  const { mode, via, name, wait, bound } = readYourWrites;
  return map([
    ['writes', leaf(writes)],
    ['reads', list(reads.map((place) => short(place)))],
    ['maxLag', maxLag === null ? leaf('any') : duration(maxLag)],
    ['minReplicas', leaf(minReplicas)],
    ['stale', duration(stale)],
    [
      'readYourWrites',
      map([
        ['mode', short(mode)],
        ['via', leaf(via)],
        ['name', text(name)],
        ['wait', duration(wait)],
        ['bound', duration(bound)],
      ]),
    ],
  ]);
}
