/** How a pool's primary is replaced, and which of its requests go where. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseFieldName } from '../http-words.ts';
import { duration, off, parsed, section, size, whole } from './scalars.ts';

const hookUrl = parsed('path or url', (text) => {
  if (/^\/[\x21-\x7e]{0,2047}$/.test(text) && !text.includes('#')) return ok(text);
  if (/^https?:\/\/[\x21-\x7e]{1,2040}$/.test(text) && !/[#@]/.test(text) && URL.canParse(text)) return ok(text);
  return err('is neither a path such as /promote nor a url such as http://127.0.0.1:7000/promote');
});

const word = parsed('text', (text) =>
  text.includes('\0') || text.length > 4096 ? err('is longer than 4096 characters, or holds a NUL') : ok(text),
);

const hookTimeout = duration({ min: '10ms', max: '10m' }).prefault('5s').describe('It is ended then, and has failed.');

/** `post` or `exec`: check-failover.ts sees to it that there is exactly one. */
const hook = (effect: string) =>
  section({
    post: hookUrl
      .optional()
      .meta({ 'x-default': 'required, or exec' })
      .describe('A path of the node itself, or a whole url: asked with POST and JSON, and answered by 2xx.'),
    exec: z
      .array(word)
      .min(1)
      .optional()
      .meta({ 'x-default': 'required, or post' })
      .describe('A program and its arguments, run without a shell; JSON on its standard input, exit code 0.'),
    timeout: hookTimeout,
  })
    .optional()
    .meta({ 'x-default': 'none' })
    .describe(effect);

const parking = section({
  writes: whole(0, 100_000).prefault(1000).describe('Writes that may wait at once. 0: none waits.'),
  bytes: size({ min: '0', max: '4GiB' })
    .prefault('64MiB')
    .describe('Bytes that they may hold in memory together. What is beyond a head stays in its socket.'),
  time: duration({ min: '0s', max: '10m' })
    .prefault('15s')
    .describe('How long each may wait, then 503. `check` tells if a failover can take longer.'),
})
  .prefault({})
  .describe('Writes that wait while there is no primary.');

const mode = z.enum(['automatic', 'manual']);

const failoverLong = section({
  mode: mode
    .prefault('automatic')
    .describe(
      'Who changes the primary: the cluster when a majority holds it for down, or an operator alone. `FAILOVER_MODE` overrides it.',
    ),
  failureThreshold: whole(1, 100)
    .prefault(3)
    .describe(
      'Failed checks in a row after which a member holds the primary for down; in place of `health.fall`. `FAILOVER_FAILURE_THRESHOLD` overrides it.',
    ),
  recoveryWait: duration({ min: '0s', max: '24h' })
    .prefault('60s')
    .describe(
      'How long a node that was primary must be healthy to count as recovered. `FAILOVER_RECOVERY_WAIT` overrides it.',
    ),
  failback: z
    .enum(['manual', 'automatic'])
    .prefault('manual')
    .describe('Whether the node with `role: primary` becomes primary again once it has recovered, or when asked.'),
  maxAttempts: whole(1, 16)
    .prefault(3)
    .describe('Candidates that are tried, one after the other. `FAILOVER_MAX_ATTEMPTS` overrides it.'),
  retryAfter: duration({ min: '0s', max: '24h' })
    .prefault('10m')
    .describe('Rest of automatic failover after one that failed; doubled each time. 0: until someone looks.'),
  minInterval: duration({ min: '0s', max: '24h' })
    .prefault('10s')
    .describe('Least time from one failover to the next, so that a flapping pool does not wander.'),
  maxLag: z
    .union([z.literal('any').transform(() => null), whole(0, Number.MAX_SAFE_INTEGER)])
    .prefault(0)
    .describe(
      'How far a candidate may be behind what clients were told, in the positions that nodes report. 0: nothing acknowledged is lost; `any`: whoever is furthest.',
    ),
  verify: z
    .boolean()
    .prefault(false)
    .describe('No failover while another node says in its health answer that it still hears the primary.'),
  withoutQuorum: z
    .enum(['stop', 'continue'])
    .prefault('stop')
    .describe(
      'Whether a member that has lost the majority goes on writing to the primary; `continue` needs `mode: manual`.',
    ),
  switchTimeout: duration({ min: '100ms', max: '10m' })
    .prefault('5s')
    .describe(
      'In a planned switch: how long writes under way may finish, and the new primary may catch up. Tunnels are cut at its beginning.',
    ),
  demote: hook(
    'Makes the old primary stop taking writes. Runs while the fence is waited for; its failure stops nothing.',
  ),
  promote: hook('Makes the new primary take writes. Without its success the epoch does not open.'),
  rejoin: hook('Makes a node that was primary a follower of the new one. Until then it takes no reads.'),
  parking,
});

export const failover = z
  .union([
    off.transform(() => undefined),
    mode.transform((value) => ({ ...failoverDefaults(), mode: value })),
    failoverLong,
  ])
  .optional()
  .meta({ 'x-default': 'off' })
  .describe(
    'One node takes the writes, and another takes over when it dies: `automatic`, `manual`, a map, or `off`. What is agreed on is kept in `dataDir`.',
  );

export type FailoverDraft = z.output<typeof failoverLong>;
const failoverDefaults = (): FailoverDraft => failoverLong.parse({});

const place = z.enum(['replicas', 'primary', 'any']);

const tokenName = parsed('name', (text) => {
  const name = parseFieldName(text);
  return name.ok && text.length <= 64 ? ok(text) : err('is not a name of at most 64 letters, digits, - and _');
});

const ownReads = z.enum(['off', 'session', 'strict']);
const ownReadsLong = section({
  mode: ownReads
    .prefault('session')
    .describe('`session`: a client reads its own writes; `strict`: and those of others that were answered; `off`.'),
  via: z
    .enum(['cookie', 'header'])
    .prefault('cookie')
    .describe('How a client carries its token from a write to the reads after it.'),
  name: tokenName
    .optional()
    .meta({ 'x-default': '`ek-after`, as a header `X-HA-Token`' })
    .describe('Name of that cookie or field.'),
  wait: duration({ min: '0s', max: '1m' })
    .prefault('500ms')
    .describe('How long a read waits for a replica that has caught up; then it goes to the primary.'),
  bound: duration({ min: '0s', max: '1h' })
    .prefault('5s')
    .describe('Where nodes report no positions: for so long after its write a client reads from the primary.'),
});

const readYourWrites = z
  .union([
    z.literal(false).transform(() => ({ ...ownReadsLong.parse({}), mode: 'off' as const })),
    ownReads.transform((value) => ({ ...ownReadsLong.parse({}), mode: value })),
    ownReadsLong,
  ])
  .prefault('session')
  .describe('Whether reads see what was written before: `session`, `strict`, `off`, or a map.');

export const split = section({
  writes: z.literal('primary').prefault('primary').describe('Where unsafe methods and tunnels go.'),
  reads: z
    .union([
      z.literal('replicas').transform(() => ['replicas' as const, 'primary' as const]),
      z.literal(['primary', 'any']).transform((value) => [value]),
      z.array(place).min(1),
    ])
    .prefault('replicas')
    .describe(
      'Where GET, HEAD and OPTIONS go. `replicas`: to the primary where none is fit; `any`: to replicas and primary alike; `primary`. As a list: exactly these, in order of preference, then 503.',
    ),
  maxLag: z
    .union([z.literal('any').transform(() => null), duration({ min: '0s', max: '24h' })])
    .prefault('10s')
    .describe('A node that reports a longer lag takes no reads. `any`: no bound.'),
  minReplicas: whole(0, 1000)
    .prefault(0)
    .describe('Replicas that must be healthy and within maxLag for writes to be taken; otherwise they wait.'),
  stale: z
    .union([off.transform(() => 0), duration({ min: '0s', max: '30d' })])
    .prefault('1h')
    .describe('How long replicas still answer reads while there is no primary, with `X-HA-Stale`. `off`: not at all.'),
  readYourWrites,
})
  .optional()
  .meta({ 'x-default': 'everything to the primary' })
  .describe('Which requests of a pool with `failover` go to the primary, and which to its replicas.');
