/** Draft -> Config: short forms made long, defaults that depend on other values filled in. Nothing is refused here. */
import { nodeId } from '../base/ids.ts';
import { buildFailover, buildSplit, rolesOf } from './build-failover.ts';
import type { Draft, NodeDraft, PoolDraft, PoolRest, RouteDraft } from './draft.ts';
import type {
  Config,
  FieldEdits,
  HealthConfig,
  ListenConfig,
  NodeConfig,
  PassiveConfig,
  PoolConfig,
  RouteAction,
  RouteConfig,
  TlsConfig,
  UpstreamTlsConfig,
} from './model.ts';

type Complete = { readonly [K in keyof Draft]: NonNullable<Draft[K]> };

/** null if a section did not pass. */
export function buildConfig(draft: Draft): Config | null {
  const pools = draft.pools.map(({ name, rest, nodes }) => {
    const whole = nodes.filter((node) => node !== null);
    return rest === null || whole.length < nodes.length ? null : buildPool(name, rest, whole);
  });
  const routes = (draft.routes ?? []).map((route, index) => (route === null ? null : buildRoute(route, index)));
  const sections = Object.entries(draft).every(([key, value]) => value !== null || key === 'routes');
  if (!sections || pools.includes(null) || routes.includes(null)) return null;
  const complete = draft as Complete;
  // A witness carries no traffic; that the file asks for none is held by check-cluster.ts.
  const carries = draft.cluster?.witness !== true;
  return {
    listen: carries ? complete.listen.map(buildListen) : [],
    workers: carries ? complete.workers : 1,
    pools: pools as PoolConfig[],
    routes:
      draft.routes === undefined
        ? (carries ? draft.pools.slice(0, 1) : []).map(everythingTo)
        : (routes as RouteConfig[]),
    timeouts: complete.timeouts,
    limits: complete.limits,
    trustedProxies: complete.trustedProxies,
    fields: complete.fields,
    admin: { address: complete.admin.address.address, token: complete.admin.token },
    log: complete.log,
    shutdown: complete.shutdown,
    dataDir: complete.dataDir,
    cluster: draft.cluster ?? null,
  };
}

function buildListen({ address, tls }: NonNullable<Draft['listen']>[number]): ListenConfig {
  return { name: address.name, address: address.address, tls: tls === undefined ? null : buildTls(tls) };
}

type TlsDraft = NonNullable<NonNullable<Draft['listen']>[number]['tls']>;

function buildTls({ cert, key, certificates, minVersion, clientCert }: TlsDraft): TlsConfig {
  return {
    certificates: certificates ?? [{ cert: cert ?? '', key: key ?? '' }],
    minVersion,
    clientCert: clientCert ?? null,
  };
}

export function buildNode({ place, id, role = 'replica', ...rest }: NodeDraft): NodeConfig {
  return { id: nodeId(id ?? place.id), url: place.url, address: place.address, role, ...rest };
}

function buildPool(name: string, rest: PoolRest, nodes: readonly NodeDraft[]): PoolConfig {
  return {
    name,
    balance: { algorithm: rest.balance.algorithm, key: rest.balance.key ?? { from: 'address' } },
    nodes: rolesOf(nodes, rest.failover !== undefined).map(buildNode),
    health: buildHealth(rest.health, rest.failover !== undefined),
    passive: buildPassive(rest.passive),
    slowStart: typeof rest.slowStart === 'object' ? rest.slowStart : null,
    panicThreshold: rest.panicThreshold,
    retry: rest.retry,
    upstream: { ...rest.upstream, tls: buildUpstreamTls(rest.upstream.tls) },
    limits: rest.limits,
    failover: rest.failover === undefined ? null : buildFailover(rest.failover),
    split: rest.failover === undefined ? null : buildSplit(rest.split),
  };
}

function buildUpstreamTls(tls: PoolRest['upstream']['tls']): UpstreamTlsConfig {
  const { ca = null, cert = null, key = null, verify, servername = null } = tls;
  return { ca, cert, key, verify, servername };
}

const tcpChecks = { kind: 'tcp', interval: 2000, timeout: 1000, fall: 3, rise: 2, jitter: 0.1 } as const;

/** Where failover needs fresh reports, a node that is down is checked as often as any. */
function buildHealth(given: PoolRest['health'], hasPrimary: boolean): HealthConfig | null {
  if (given === 'off' || given === false) return null;
  const health: Exclude<typeof given, undefined> = given ?? tcpChecks;
  return {
    kind: health.kind,
    path: health.path ?? '/',
    method: health.method ?? 'GET',
    host: health.host ?? null,
    port: health.port ?? null,
    interval: health.interval,
    fastInterval: health.fastInterval ?? Math.min(500, health.interval),
    downInterval: health.downInterval ?? Math.max(hasPrimary ? 0 : 5000, health.interval),
    timeout: health.timeout,
    fall: health.fall,
    rise: health.rise,
    jitter: health.jitter,
    status: health.status ?? [[200, 399]],
    body: health.body ?? null,
  };
}

const noEjection: PassiveConfig = { consecutiveErrors: 0, ejectBase: 30_000, ejectMax: 300_000, maxEjected: 0.5 };

function buildPassive(given: PoolRest['passive']): PassiveConfig {
  return typeof given === 'object' ? given : noEjection;
}

export const routeName = (route: RouteDraft, index: number): string => route.name ?? `route-${index + 1}`;

function buildRoute(route: RouteDraft, index: number): RouteConfig {
  const path = route.path === undefined ? null : ({ kind: 'prefix', value: route.path } as const);
  return {
    name: routeName(route, index),
    listen: route.listen ?? [],
    host: route.host ?? null,
    path: route.exact === undefined ? path : { kind: 'exact', value: route.exact },
    methods: route.method ?? [],
    headers: Object.entries(route.headers).map(([name, value]) => ({ name: name.toLowerCase(), value })),
    action: buildAction(route),
    requestFields: buildEdits(route.request),
    responseFields: buildEdits(route.response),
    abortOnFin: route.abortOnFin,
    treatAs: route.treatAs ?? null,
  };
}

function buildAction(route: RouteDraft): RouteAction {
  if (route.redirect !== undefined) return { kind: 'redirect', ...route.redirect };
  const replacement = route.stripPrefix ? '/' : route.replacePrefix;
  const rewrite = replacement === undefined ? null : { prefix: route.path ?? '/', replacement };
  return { kind: 'pool', pool: route.pool ?? '', rewrite };
}

function buildEdits(edits: RouteDraft['request']): FieldEdits {
  return { set: Object.entries(edits.set).map(([name, value]) => ({ name, value })), remove: edits.remove };
}

function everythingTo({ name: pool }: PoolDraft): RouteConfig {
  const none: FieldEdits = { set: [], remove: [] };
  return {
    name: 'route-1',
    listen: [],
    host: null,
    path: null,
    methods: [],
    headers: [],
    action: { kind: 'pool', pool, rewrite: null },
    requestFields: none,
    responseFields: none,
    abortOnFin: false,
    treatAs: null,
  };
}
