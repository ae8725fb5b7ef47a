/** A pool: its nodes, how one of them is chosen, how they are watched, and what is done when one fails. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseHostPattern, parseNodeUrl } from '../addresses.ts';
import { parseFieldName, parseFieldValue, parseMethod, parseStatusRange } from '../http-words.ts';
import type { HashKey } from '../model.ts';
import { failover, split } from './failover.ts';
import { duration, off, oneOrMore, parsed, section, share, size, whole } from './scalars.ts';
import { upstreamTls } from './tls.ts';

const timeout = { min: '1ms', max: '24h' };

const hashKey = parsed<HashKey>(
  'key',
  (text) => {
    if (text === 'address' || text === 'path') return ok({ from: text });
    const form = /^(header|cookie):(.*)$/.exec(text);
    if (!form) return err('is not a key\nwrite address, path, header:NAME or cookie:NAME');
    const name = parseFieldName(form[2]!);
    if (!name.ok) return err(`has a name that ${name.error}`);
    return ok(
      form[1] === 'header' ? { from: 'header', name: name.value.toLowerCase() } : { from: 'cookie', name: name.value },
    );
  },
  '^(address|path|(header|cookie):.+)$',
);

const algorithm = z.enum([
  'round-robin',
  'weighted',
  'least-connections',
  'random-two',
  'peak-ewma',
  'consistent-hash',
]);

export const balance = z
  .union([
    algorithm.transform((value) => ({ algorithm: value, key: undefined })),
    section({
      algorithm: algorithm.describe(
        '`round-robin`: in turn; `weighted`: smooth weighted round robin; `least-connections`: fewest requests in flight by weight, exact up to 128 nodes and best of 16 draws above; `random-two`: the better of two draws; `peak-ewma`: the faster of two draws by recent answer times; `consistent-hash`: the same key always to the same node, with bounded load.',
      ),
      key: hashKey
        .optional()
        .meta({ 'x-default': 'address' })
        .describe('What consistent-hash goes by: `address` of the client, `path`, `header:NAME` or `cookie:NAME`.'),
    }),
  ])
  .prefault('least-connections')
  .describe('How a node is chosen: the name of an algorithm, or a map.');

const nodeUrl = parsed('url', parseNodeUrl);

const plainNode = {
  ...{ id: undefined, weight: 1, backup: false, wish: 'ready' as const },
  ...{ role: undefined, priority: 100, candidate: true },
};

export const node = z
  .union([
    nodeUrl.transform((place) => ({ place, ...plainNode })),
    section({
      id: parsed('name', (text) =>
        /^[A-Za-z0-9/[][\w.:@/[\]-]{0,255}$/.test(text)
          ? ok(text)
          : err('is not an id: letters, digits and . : @ _ - / only, at most 256, and a letter or digit first'),
      )
        .optional()
        .meta({ 'x-default': 'host:port' })
        .describe("The node's name in logs, metrics and the API. Unique in its pool."),
      url: nodeUrl.describe('`http://host:port`, `https://host:port` or `unix:/path`. No path behind the port.'),
      weight: whole(0, 1000).prefault(1).describe('Share of the traffic relative to the others. 0: no new traffic.'),
      backup: z.boolean().prefault(false).describe('Used only when no other node of the pool is fit.'),
      wish: z
        .enum(['ready', 'drain', 'maint'])
        .prefault('ready')
        .describe('What the operator wants at the start: traffic, no new traffic, or neither traffic nor probes.'),
      role: z
        .enum(['primary', 'replica', 'standby'])
        .optional()
        .meta({ 'x-default': '`primary` for the first node of the highest priority if no other is, else `replica`' })
        .describe(
          'In a pool with `failover`: who is primary at the very start, later the agreed state decides. A `standby` takes no reads.',
        ),
      priority: whole(0, 65_535)
        .prefault(100)
        .describe('In a pool with `failover`: of candidates that are equally far, the highest becomes primary.'),
      candidate: z.boolean().prefault(true).describe('In a pool with `failover`: whether the node may become primary.'),
    }).transform(({ url, ...rest }) => ({ place: url, ...rest })),
  ])
  .describe('An app node: its url, or a map.');

const statusRange = parsed('status', parseStatusRange).meta({ type: ['string', 'integer'] });
const probePath = parsed('path', (text) =>
  /^\/[\x21-\x7e]{0,4095}$/.test(text) && !text.includes('#') ? ok(text) : err('is not a path such as /health'),
);

const healthLong = section({
  kind: z
    .enum(['http', 'https', 'tcp'])
    .prefault('http')
    .describe(
      '`http` asks for a path, over TLS where the node is https; `https` does so at any node, and verifies the certificate for the name in `host`; `tcp` only connects.',
    ),
  path: probePath.optional().meta({ 'x-default': '/' }).describe('What to ask for; a query is allowed.'),
  method: z.enum(['GET', 'HEAD']).optional().meta({ 'x-default': 'GET' }).describe('The method of the probe.'),
  host: parsed('host', hostField)
    .optional()
    .meta({ 'x-default': "the node's host:port" })
    .describe('Host field of the probe.'),
  port: whole(1, 65_535).optional().meta({ 'x-default': "the node's port" }).describe('Port to probe.'),
  interval: duration({ min: '10ms', max: '1h' }).prefault('2s').describe('Time between two probes of a node.'),
  fastInterval: duration({ min: '10ms', max: '1h' })
    .optional()
    .meta({ 'x-default': '500ms, or interval where that is shorter' })
    .describe('The same while the verdict is changing: from a first failure until fall or rise is complete.'),
  downInterval: duration({ min: '10ms', max: '1h' })
    .optional()
    .meta({ 'x-default': '5s, or interval where that is longer; with failover: interval' })
    .describe('The same while the node is down; with failover at most interval.'),
  timeout: duration({ min: '1ms', max: '10m' })
    .prefault('1s')
    .describe('A probe without a whole answer by then has failed.'),
  fall: whole(1, 100).prefault(3).describe('Failed probes in a row that take a node out.'),
  rise: whole(1, 100).prefault(2).describe('Good probes in a row that bring it back.'),
  jitter: share()
    .prefault('10%')
    .describe("Each interval is stretched or shortened by up to this share, so that probes don't run in step."),
  status: oneOrMore(statusRange)
    .optional()
    .meta({ 'x-default': '200-399' })
    .describe('Statuses that count as success: `200`, `200-399`, `2xx`, or a list of these.'),
  body: parsed('text', (text) =>
    text.length >= 1 && text.length <= 1024 ? ok(text) : err('must have 1 to 1024 characters'),
  )
    .optional()
    .meta({ 'x-default': 'any body' })
    .describe('Text that must occur in the first 64 KiB of the answer.'),
});

function hostField(text: string) {
  const name = parseHostPattern(text.replace(/:[0-9]{1,5}$/, ''));
  if (!name.ok || text.startsWith('*')) return err('is not a host such as app.example.com');
  return parseFieldValue(text);
}

export const health = z
  .union([off, healthLong])
  .optional()
  .meta({ 'x-default': '{ kind: tcp }' })
  .describe(
    'Active checks. Without this key a node is probed by connecting to it (`kind: tcp`); with a map by HTTP, on `/` unless it says otherwise; `off`: never.',
  );

export const passive = z
  .union([
    off,
    section({
      consecutiveErrors: whole(0, 1000)
        .prefault(5)
        .describe('Errors in a row (5xx, resets, time-outs) in real traffic that eject a node. 0: off.'),
      ejectBase: duration(timeout).prefault('30s').describe('How long; times the number of ejections in a row.'),
      ejectMax: duration(timeout).prefault('300s').describe('How long at most.'),
      maxEjected: share()
        .prefault('50%')
        .describe('Largest share of a pool that may be ejected at once. The last fit node never is.'),
    }),
  ])
  .prefault({})
  .describe('What real traffic tells about nodes: a map, or `off`.');

const slowStartWindow = duration({ min: '1ms', max: '24h' });

export const slowStart = z
  .union([
    off,
    slowStartWindow.transform((window) => ({ window, aggression: 1 })),
    section({
      window: slowStartWindow.describe('Time from coming back to full weight.'),
      aggression: z
        .number()
        .min(0.1, { error: 'must be a number from 0.1 to 10' })
        .max(10, { error: 'must be a number from 0.1 to 10' })
        .prefault(1)
        .meta({ 'x-form': 'number', 'x-bounds': '0.1 to 10' })
        .describe('1: the weight grows evenly; more than 1: faster at first.'),
    }),
  ])
  .prefault('off')
  .describe('A node that comes back gets its weight gradually, from 10%: a window, a map, or `off`.');

export const panicThreshold = z
  .union([off.transform(() => 0), share()])
  .prefault('off')
  .describe('Share of fit nodes below which all nodes are used, fit or not. `off`: never.');

export const retry = section({
  attempts: whole(1, 10)
    .prefault(2)
    .describe('Tries in all, besides a free one after a refused or broken connection. 1: no retry.'),
  budget: share()
    .prefault('20%')
    .describe('Retries at once, as a share of the requests at work; at least 10 are allowed.'),
  methods: z
    .array(parsed('method', parseMethod))
    .prefault([])
    .describe(
      'Methods that may be sent again besides GET, HEAD and OPTIONS, though a node may have seen the first try.',
    ),
  statuses: z
    .array(whole(400, 599))
    .prefault([])
    .describe('Statuses of a node that are tried again on another, for GET and HEAD.'),
  buffer: size({ min: '0', max: '16MiB' })
    .prefault('64KiB')
    .describe('Largest request body that is kept to be sent again.'),
  backoff: duration({ min: '0s', max: '10s' })
    .prefault('25ms')
    .describe('Wait before the second try, doubled for each further one.'),
})
  .prefault({})
  .describe('Second tries, always on another node than those that failed.');

export const upstream = section({
  connectTimeout: duration(timeout).prefault('1s').describe('For a connection to a node.'),
  responseTimeout: duration(timeout)
    .prefault('60s')
    .describe('From the last byte of a request to the head of the answer, else 504.'),
  bodyTimeout: duration(timeout).prefault('60s').describe('Longest pause within an answer.'),
  tunnelTimeout: duration({ min: '1ms', max: '7d' })
    .prefault('1h')
    .describe('A WebSocket or other tunnel without a byte either way.'),
  idleTimeout: duration(timeout)
    .prefault('4s')
    .describe("How long an unused connection is kept. Keep it below the node's own limit (5 s in Node)."),
  maxIdle: whole(0, 65_536).prefault(256).describe('Unused connections kept per node and data thread.'),
  pipelining: whole(1, 64)
    .prefault(1)
    .describe(
      'GET and OPTIONS requests at once on one connection; 1: one after the other. For fast nodes with small answers that frame them rightly.',
    ),
  tls: upstreamTls,
})
  .prefault({})
  .describe('Connections to nodes.');

export const poolLimits = section({
  maxConnections: whole(1, 1_000_000).prefault(1024).describe('Requests at once on one node.'),
  maxPending: whole(0, 1_000_000)
    .prefault(1024)
    .describe('Requests that may wait when every node is full; one more is answered 503.'),
  queueTimeout: duration({ min: '0s', max: '1h' }).prefault('5s').describe('Longest wait, then 503.'),
})
  .prefault({})
  .describe('Bounds of load.');

/** Everything but the nodes, which are read one by one so that a fault in one hides none in another. */
export const poolRest = {
  ...{ balance, health, passive, slowStart, panicThreshold, retry, upstream, limits: poolLimits },
  ...{ failover, split },
};

export const pool = section({
  nodes: z.array(node).min(1).describe('The app nodes. At most 16384 in all pools together.'),
  ...poolRest,
});
