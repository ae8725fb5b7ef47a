/** What holds for the whole process: listeners, the admin address, towards clients, log, shutdown. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseBlock, parseListen } from '../addresses.ts';
import { duration, file, off, parsed, section, size, whole } from './scalars.ts';
import { listenerTls } from './tls.ts';

const address = parsed('address', parseListen).meta({ type: ['string', 'integer'] });

const listener = section({
  address: address.describe(
    'Where to listen: `0.0.0.0:8080`, `[::]:8080`, `:8080` (all IPv4 addresses) or `unix:/path`.',
  ),
  tls: listenerTls.optional(),
});

export const listen = z
  .union([
    address.transform((value) => [{ address: value, tls: undefined }]),
    listener.transform((value) => [value]),
    z.array(z.union([address.transform((value) => ({ address: value, tls: undefined })), listener])).min(1),
  ])
  .prefault('0.0.0.0:8080')
  .describe('Where clients connect: one address, one map, or a list of either. At most 64.');

export const workers = z
  .union([z.literal('auto'), whole(1, 64)])
  .prefault('auto')
  .describe('Data threads, each of which takes its share of the connections. `auto`: processor cores - 1, at least 1.');

export const trustedProxies = z
  .array(parsed('address or block', parseBlock))
  .prefault([])
  .describe(
    "Proxies in front of evenkeel, as addresses or CIDR blocks. Their X-Forwarded-* and X-Request-Id are believed; everybody else's are replaced.",
  );

const timeout = { min: '1ms', max: '24h' };

export const timeouts = section({
  head: duration(timeout).prefault('10s').describe('A request head must have come whole by then, else 408.'),
  body: duration(timeout).prefault('60s').describe('Longest pause within a request body, else 408.'),
  keepAlive: duration(timeout).prefault('75s').describe('An idle connection is closed after this time.'),
  write: duration(timeout)
    .prefault('60s')
    .describe('A client that takes no byte of its answer for so long is cut off.'),
})
  .prefault({})
  .describe('Patience with clients.');

const rateError = 'must be a number from 0.001 to 1000000';
const perSecond = z
  .number()
  .min(0.001, { error: rateError })
  .max(1_000_000, { error: rateError })
  .meta({ 'x-form': 'number', 'x-bounds': '0.001 to 1000000' });

/** A rate, or a rate with its burst. */
const rate = (what: string) =>
  z
    .union([
      off.transform(() => null),
      perSecond.transform((each) => ({ perSecond: each, burst: Math.max(1, Math.ceil(each)) })),
      section({
        perSecond: perSecond.describe('In the long run.'),
        burst: whole(1, 1_000_000).describe('So many may come at once.'),
      }),
    ])
    .prefault('off')
    .describe(what);

const perAddress = section({
  connections: z
    .union([off.transform(() => null), whole(1, 1_000_000)])
    .prefault('off')
    .describe('Open connections; one more is answered 503 and closed, over TLS closed before the handshake.'),
  newConnections: rate(
    'New connections per second; those beyond are treated alike. A number, a map, or `off`. A number is its own burst: so many may come at once.',
  ),
  requests: rate(
    'Requests per second; those beyond are answered 429 with Retry-After. A number, a map, or `off`. A number is its own burst.',
  ),
})
  .prefault({})
  .describe(
    'Bounds for each client address alone; of IPv6 its first 64 bits count. Addresses in `trustedProxies` have none: for requests the client that they name in X-Forwarded-For counts.',
  );

export const limits = section({
  maxHead: size({ min: '1KiB', max: '1MiB' })
    .prefault('32KiB')
    .describe('Largest request head, all fields together, else 431.'),
  maxFields: whole(1, 10_000).prefault(100).describe('Most fields in a head, else 431.'),
  maxField: size({ min: '256B', max: '1MiB' }).prefault('16KiB').describe('Largest single field, else 431.'),
  maxTarget: size({ min: '64B', max: '1MiB' })
    .prefault('8KiB')
    .describe('Longest request target (path and query), else 414.'),
  maxBody: z
    .union([z.literal('unlimited').transform(() => null), size({ min: '0', max: '8TiB' })])
    .prefault('unlimited')
    .describe('Largest request body, else 413. `unlimited`: any; a body is streamed and never held.'),
  maxConnections: whole(1, 1_000_000)
    .prefault(65_536)
    .describe('Client connections at once in the process; one more is answered 503 and closed.'),
  perAddress,
})
  .prefault({})
  .describe('Bounds for what clients send.');

const viaName = parsed('name', (text) =>
  /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text) ? ok(text) : err('is not a name of letters, digits, - and _'),
);

export const fields = section({
  forwarded: z.boolean().prefault(false).describe('Also send Forwarded (RFC 7239) to nodes, besides X-Forwarded-*.'),
  serverTiming: z.boolean().prefault(false).describe('Tell clients in Server-Timing where the time went.'),
  via: z
    .union([off.transform(() => null), viaName])
    .prefault('off')
    .describe(
      'Name to put in Via, as `1.1 ek-<name>`; a request that comes back with it is answered 508. nginx nodes stop compressing when they see Via.',
    ),
  underscore: z
    .enum(['drop', 'allow', 'reject'])
    .prefault('drop')
    .describe(
      'Request fields with _ in their name, which CGI-like nodes mistake for -: leave out, pass on (but nothing like X_Forwarded_For), or answer 400.',
    ),
  trailers: z.boolean().prefault(false).describe('Pass trailers on to nodes, and to clients that say `TE: trailers`.'),
})
  .prefault({})
  .describe('Fields that evenkeel adds or watches.');

const token = z
  .union([
    z.null(),
    parsed('secret', (text) =>
      /^[\x21-\x7e]*$/.test(text) ? ok(text) : err('may hold visible ASCII characters only'),
    ),
  ])
  .transform((value) => (value === '' ? null : value))
  .prefault(null)
  .describe(
    'Asked for as `Authorization: Bearer <token>`. Required where the address is not loopback. Empty: none. Better a variable than plain text.',
  );

const adminLong = section({
  address: address
    .prefault('127.0.0.1:9090')
    .describe('Where the admin API, /metrics, /stats and the health pages are.'),
  token,
});

export const admin = z
  .union([address.transform((value) => ({ address: value, token: null })), adminLong])
  .prefault({})
  .meta({ 'x-default': '`127.0.0.1:9090`' })
  .describe('The admin listener: an address, or a map.');

export const log = section({
  level: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
    .prefault('info')
    .describe('Least weight of a log line that is written.'),
  access: z
    .enum(['json', 'combined', 'off'])
    .prefault('json')
    .describe('One line per request: as JSON, in the combined format of Apache and nginx, or none.'),
  accessFile: z
    .union([z.null(), file('a log file')])
    .prefault(null)
    .describe(
      'File for these lines, reopened at SIGUSR2. A relative name starts at the working directory. Empty: standard output.',
    ),
})
  .prefault({})
  .describe('Logs.');

export const shutdown = section({
  delay: duration({ min: '0s', max: '1h' })
    .prefault('0s')
    .describe(
      'At SIGTERM: time between /readyz saying 503 and the end of listening, for a balancer in front to notice.',
    ),
  deadline: duration({ min: '0s', max: '24h' })
    .prefault('30s')
    .describe('Time for requests under way to finish; then they are cut.'),
})
  .prefault({})
  .describe('How the process ends.');
