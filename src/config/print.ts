/**
 * `config print`: every value in force, as YAML that would load to the same config, each with where it came from:
 *
 *   timeouts:
 *     head: 10s                # default
 *     body: 5s                 # config.yaml:14
 *     keepAlive: 30s           # config.yaml:15, env KEEP_ALIVE
 *
 * Everything is printed in its long form. The printed path of a value is also the path under which it would stand in
 * the file; where the file has a short form in place of a map, only the value that the short form means is from there.
 * Secrets are left out, and so are fields whose names promise one. What has no value (no host, any method) is not shown.
 */
import { typed } from './expand.ts';
import { itemPath } from './ledger.ts';
import type { LoadedConfig } from './load.ts';
import type {
  ClusterConfig,
  FieldEdits,
  HashKey,
  HealthConfig,
  ListenAddress,
  PoolConfig,
  RateLimit,
  RouteConfig,
  TlsConfig,
  UpstreamTlsConfig,
} from './model.ts';
import { failoverOut, roleOut, splitOut } from './print-failover.ts';
import {
  duration,
  type Entries,
  leaf,
  list,
  map,
  type Out,
  quote,
  redacted,
  secretText,
  shareLeaf,
  short,
  size,
  text,
  texts,
} from './print-out.ts';
import { at, type Path, type Tree } from './tree.ts';

export function renderConfig(loaded: LoadedConfig): string {
  const lines: string[] = [];
  write(whole(loaded), { loaded, path: [], indent: '', lines });
  return `${lines.join('\n')}\n`;
}

/** What `renderConfig` says without the origins, as plain data. Reading its text back would take seven times as long. */
export const plainConfig = (loaded: LoadedConfig): unknown => plainOut(whole(loaded));

function plainOut(out: Out): unknown {
  if (out.kind === 'leaf') return out.text.startsWith('"') ? (JSON.parse(out.text) as unknown) : typed(out.text);
  if (isEmpty(out)) return [];
  if (out.kind === 'list') return out.items.map(plainOut);
  const entries = out.entries.filter((entry) => entry !== null);
  return Object.fromEntries(entries.map(([key, value]) => [plainOut(text(key)), plainOut(value)]));
}

function whole({ config, tree }: LoadedConfig): Out {
  const { timeouts, limits, fields, admin, log, shutdown } = config;
  const carries = config.cluster?.witness !== true;
  const listeners = config.listen.map(({ name, tls }, index) =>
    map([['address', short(name)], tls && ['tls', tlsOut(tls, at(tree, [...itemPath(tree, 'listen', index), 'tls']))]]),
  );
  const preset = at(tree, ['preset']);
  return map([
    preset?.kind === 'scalar' ? ['preset', leaf(String(preset.value))] : null,
    carries ? ['listen', list(listeners)] : null,
    ['workers', leaf(String(config.workers))],
    carries || config.pools.length > 0 ? ['pools', map(config.pools.map((pool) => [pool.name, poolOut(pool)]))] : null,
    carries ? ['routes', list(config.routes.map((route, index) => routeOut(route, tree, index)))] : null,
    ['timeouts', map(Object.entries(timeouts).map(([key, value]) => [key, duration(value)]))],
    [
      'limits',
      map([
        ['maxHead', size(limits.maxHead)],
        ['maxFields', leaf(limits.maxFields)],
        ['maxField', size(limits.maxField)],
        ['maxTarget', size(limits.maxTarget)],
        ['maxBody', limits.maxBody === null ? leaf('unlimited') : size(limits.maxBody)],
        ['maxConnections', leaf(limits.maxConnections)],
        [
          'perAddress',
          map([
            ['connections', leaf(limits.perAddress.connections ?? 'off')],
            ['newConnections', rateOut(limits.perAddress.newConnections)],
            ['requests', rateOut(limits.perAddress.requests)],
          ]),
        ],
      ]),
    ],
    ['trustedProxies', list(config.trustedProxies.map((block) => text(block)))],
    [
      'fields',
      map([
        ['forwarded', leaf(fields.forwarded)],
        ['serverTiming', leaf(fields.serverTiming)],
        ['via', fields.via === null ? leaf('off') : text(fields.via)],
        ['underscore', leaf(fields.underscore)],
        ['trailers', leaf(fields.trailers)],
      ]),
    ],
    [
      'admin',
      map([
        ['address', short(addressText(admin.address))],
        ['token', admin.token === null ? leaf('null') : leaf(redacted)],
      ]),
    ],
    [
      'log',
      map([
        ['level', leaf(log.level)],
        ['access', leaf(log.access)],
        ['accessFile', log.accessFile === null ? leaf('null') : text(log.accessFile)],
      ]),
    ],
    [
      'shutdown',
      map([
        ['delay', duration(shutdown.delay)],
        ['deadline', duration(shutdown.deadline)],
      ]),
    ],
    ['dataDir', text(config.dataDir)],
    config.cluster === null ? null : ['cluster', clusterOut(config.cluster)],
  ]);
}

const rateOut = (rate: RateLimit | null): Out =>
  rate === null
    ? leaf('off')
    : map([
        ['perSecond', { ...leaf(rate.perSecond), short: true }],
        ['burst', leaf(rate.burst)],
      ]);

function clusterOut(cluster: ClusterConfig): Out {
  return map([
    ['member', text(cluster.member)],
    ['address', text(cluster.address)],
    ['seeds', list(cluster.seeds.map((seed) => short(seed)))],
    ['expect', leaf(cluster.expect)],
    ['key', list(cluster.key.map(() => ({ ...leaf(redacted), short: true })))],
    ['priority', leaf(cluster.priority)],
    ['witness', leaf(cluster.witness)],
    ['zone', text(cluster.zone)],
    ['mode', leaf(cluster.mode)],
  ]);
}

function tlsOut({ certificates, minVersion, clientCert }: TlsConfig, written: Tree | null): Out {
  const listed = written !== null && at(written, ['certificates']) !== null;
  const [first] = certificates;
  return map([
    ...(listed || first === undefined
      ? [['certificates', list(certificates.map(texts))] as const]
      : Object.entries(first).map(([key, name]) => [key, text(name)] as const)),
    ['minVersion', leaf(minVersion)],
    clientCert && ['clientCert', texts(clientCert)],
  ]);
}

function upstreamOut(pool: PoolConfig): Out {
  const { tls, maxIdle, pipelining, ...times } = pool.upstream;
  return map([
    ...Object.entries(times).map(([key, value]) => [key, duration(value)] as const),
    ['maxIdle', leaf(maxIdle)],
    ['pipelining', leaf(pipelining)],
    isEncrypted(pool) ? ['tls', upstreamTlsOut(tls)] : null,
  ]);
}

/** Without an https node the key is refused. */
const isEncrypted = ({ nodes }: PoolConfig): boolean =>
  nodes.some(({ address }) => address.kind === 'tcp' && address.tls === true);

function upstreamTlsOut({ verify, ...names }: UpstreamTlsConfig): Out {
  const given = Object.entries(names).flatMap(([key, name]) => (name === null ? [] : [[key, text(name)] as const]));
  return map([...given, ['verify', leaf(verify)]]);
}

function poolOut(pool: PoolConfig): Out {
  const { balance, passive, slowStart, retry, limits } = pool;
  const hashes = balance.algorithm === 'consistent-hash';
  return map([
    ['balance', map([['algorithm', short(balance.algorithm)], hashes ? ['key', text(keyText(balance.key))] : null])],
    [
      'nodes',
      list(
        pool.nodes.map((node) =>
          map([
            ['id', short(node.id)],
            ['url', short(node.url)],
            ['weight', leaf(node.weight)],
            ['backup', leaf(node.backup)],
            ['wish', leaf(node.wish)],
            ...(pool.failover === null ? [] : roleOut(node)),
          ]),
        ),
      ),
    ],
    ['health', pool.health === null ? leaf('off') : healthOut(pool.health)],
    [
      'passive',
      map([
        ['consecutiveErrors', { ...leaf(passive.consecutiveErrors), short: true }],
        ['ejectBase', duration(passive.ejectBase)],
        ['ejectMax', duration(passive.ejectMax)],
        ['maxEjected', shareLeaf(passive.maxEjected)],
      ]),
    ],
    [
      'slowStart',
      slowStart === null
        ? leaf('off')
        : map([
            ['window', { ...duration(slowStart.window), short: true }],
            ['aggression', leaf(slowStart.aggression)],
          ]),
    ],
    ['panicThreshold', shareLeaf(pool.panicThreshold)],
    [
      'retry',
      map([
        ['attempts', leaf(retry.attempts)],
        ['budget', shareLeaf(retry.budget)],
        ['methods', list(retry.methods.map((method) => text(method)))],
        ['statuses', list(retry.statuses.map((status) => leaf(status)))],
        ['buffer', size(retry.buffer)],
        ['backoff', duration(retry.backoff)],
      ]),
    ],
    ['upstream', upstreamOut(pool)],
    [
      'limits',
      map([
        ['maxConnections', leaf(limits.maxConnections)],
        ['maxPending', leaf(limits.maxPending)],
        ['queueTimeout', duration(limits.queueTimeout)],
      ]),
    ],
    ['failover', pool.failover === null ? leaf('off') : failoverOut(pool.failover)],
    pool.split === null ? null : ['split', splitOut(pool.split)],
  ]);
}

function healthOut(health: HealthConfig): Out {
  const http: Entries = [
    ['path', text(health.path)],
    ['method', leaf(health.method)],
    health.host === null ? null : ['host', text(health.host)],
    ['status', list(health.status.map(([from, to]) => text(from === to ? String(from) : `${from}-${to}`)))],
    health.body === null ? null : ['body', text(health.body)],
  ];
  return map([
    ['kind', leaf(health.kind)],
    ...(health.kind === 'tcp' ? [] : http),
    health.port === null ? null : ['port', leaf(health.port)],
    ['interval', duration(health.interval)],
    ['fastInterval', duration(health.fastInterval)],
    ['downInterval', duration(health.downInterval)],
    ['timeout', duration(health.timeout)],
    ['fall', leaf(health.fall)],
    ['rise', leaf(health.rise)],
    ['jitter', shareLeaf(health.jitter)],
  ]);
}

function routeOut(route: RouteConfig, tree: Tree, index: number): Out {
  const { action, path } = route;
  return map([
    ['name', text(route.name)],
    route.listen.length > 0 ? ['listen', list(route.listen.map((name) => short(name)))] : null,
    route.host === null ? null : ['host', text(route.host)],
    path === null ? null : [path.kind === 'exact' ? 'exact' : 'path', text(path.value)],
    route.methods.length > 0 ? ['method', list(route.methods.map((method) => short(method)))] : null,
    route.headers.length > 0
      ? [
          'headers',
          map(route.headers.map(({ name, value }) => [name, value === null ? leaf('true') : secretText(name, value)])),
        ]
      : null,
    ...(action.kind === 'pool' ? toPool(action, tree, index) : []),
    action.kind === 'redirect'
      ? [
          'redirect',
          map([
            ['to', short(action.to)],
            ['status', leaf(action.status)],
          ]),
        ]
      : null,
    editsOut('request', route.requestFields),
    editsOut('response', route.responseFields),
    action.kind === 'pool' ? ['abortOnFin', leaf(route.abortOnFin)] : null,
    route.treatAs === null ? null : ['treatAs', leaf(route.treatAs)],
  ]);
}

function toPool(action: RouteConfig['action'] & { readonly kind: 'pool' }, tree: Tree, index: number): Entries {
  const pool = ['pool', text(action.pool)] as const;
  if (action.rewrite === null) return [pool];
  const replaces = at(tree, ['routes', index, 'replacePrefix']) !== null;
  return [pool, replaces ? ['replacePrefix', text(action.rewrite.replacement)] : ['stripPrefix', leaf('true')]];
}

function editsOut(side: string, { set, remove }: FieldEdits): readonly [string, Out] | null {
  if (set.length === 0 && remove.length === 0) return null;
  return [
    side,
    map([
      set.length > 0 ? ['set', map(set.map(({ name, value }) => [name, secretText(name, value)]))] : null,
      remove.length > 0 ? ['remove', list(remove.map((name) => text(name)))] : null,
    ]),
  ];
}

function keyText(key: HashKey): string {
  return key.from === 'header' || key.from === 'cookie' ? `${key.from}:${key.name}` : key.from;
}

export function addressText(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

interface Writing {
  readonly loaded: LoadedConfig;
  readonly path: Path;
  readonly indent: string;
  readonly lines: string[];
}

function write(out: Out, { loaded, path, indent, lines }: Writing): void {
  if (out.kind === 'leaf') return;
  const children: readonly (readonly [string | number, Out])[] =
    out.kind === 'list'
      ? out.items.map((item, index) => [index, item] as const)
      : out.entries.filter((entry) => entry !== null);
  for (const [step, value] of children) {
    const here = [...path, step];
    const lead = typeof step === 'number' ? `${indent}- ` : `${indent}${quote(step)}: `;
    const inner = `${indent}  `;
    if (value.kind === 'leaf') lines.push(comment(lead + value.text, origin(loaded, here, value.short)));
    else if (isEmpty(value)) lines.push(comment(`${lead}[]`, origin(loaded, here, true)));
    else {
      const from = lines.length;
      if (typeof step === 'string') lines.push(lead.trimEnd());
      write(value, { loaded, path: here, indent: inner, lines });
      if (typeof step === 'number') lines[from] = lead + lines[from]!.slice(lead.length);
    }
  }
}

const isEmpty = (out: Out): boolean =>
  out.kind === 'list' ? out.items.length === 0 : out.kind === 'map' && out.entries.length === 0;
const comment = (line: string, from: string): string => `${line.padEnd(47)} # ${from}`;

/** Where the value under this path came from. */
function origin({ tree, source }: LoadedConfig, path: Path, isShort: boolean): string {
  let here: Tree = tree;
  for (const step of path) {
    // One thing in place of a list of one.
    if (typeof step === 'number' && here.kind !== 'list') continue;
    const next = at(here, [step]) ?? lowerCaseEntry(here, step);
    if (next === null) {
      if (here.kind !== 'scalar' || !isShort) return 'default';
      break;
    }
    here = next;
  }
  if (here.kind === 'scalar' && here.origin !== undefined) return here.origin;
  if (here.kind === 'scalar' && here.fromEnv === true) return `env ${here.variables.join(', ')}`;
  const variables = here.kind === 'scalar' && here.variables.length > 0 ? `, env ${here.variables.join(', ')}` : '';
  return `${source.isCommandLine ? source.file : `${source.file}:${here.mark.line}`}${variables}`;
}

/** Field names are matched without regard to case. */
function lowerCaseEntry(here: Tree, step: string | number): Tree | null {
  if (here.kind !== 'map') return null;
  for (const [key, entry] of here.entries) if (key.toLowerCase() === step) return entry.value;
  return null;
}
