/**
 * The admin API as a function from Request to Response; io/serve.ts gives it a socket. docs/ADMIN-API.md is its page.
 *
 *   request -> access.ts (may they?) -> route -> AdminActions -> JSON, or problem+json
 *
 * GET never changes anything. Each change is told to the audit log, those that were refused too. Whatever is thrown on
 * the way becomes a 500 that says nothing of its cause to the caller; the cause goes to `onError`.
 */
import { Hono } from 'hono';
import { changing, refusalOf } from './access.ts';
import { auditRefusal, findPool, param, reload, setWish } from './changes.ts';
import type { Endpoint } from './endpoint.ts';
import { haEndpoints, isHaPath } from './ha/endpoints.ts';
import { failoverEndpoints } from './ha/failover-endpoints.ts';
import type { HaOptions } from './ha/room.ts';
import { fixedFields, json, jsonBody, jsonText, problemResponse, shortened } from './problem.ts';
import { healthOf, readinessOf } from './readiness.ts';

export interface AdminOptions extends HaOptions {
  /** What was thrown while a request was answered: a bug of ours. */
  readonly onError: (error: unknown, path: string) => void;
}

type Handler = Endpoint['handle'];

export function createAdmin(options: AdminOptions): Hono {
  const app = new Hono();
  const [plain, ha, failover] = [endpoints(options), haEndpoints(options), failoverEndpoints(options)];
  const list = [...plain, ...ha, ...failover];
  const offered = (): readonly Endpoint[] => [
    ...plain,
    ...(options.actions.ha === undefined ? [] : ha),
    ...(options.actions.failover === undefined ? [] : failover),
  ];
  // HEAD is answered as GET is, and nobody reads the body: a stream would stay open for ever.
  app.use('*', (context, next) =>
    next().then(() => (context.req.method === 'HEAD' ? context.res.body?.cancel() : undefined)),
  );
  app.use('*', (context, next) => {
    const { req } = context;
    const refusal = refusalOf(
      { method: req.method, path: req.path, header: (name) => req.header(name) },
      options.actions.access(),
    );
    if (refusal === null) return next();
    const isTold = changing.has(req.method) || (refusal.status === 401 && isHaPath(req.path));
    if (isTold) auditRefusal(options, context, refusal.title);
    return Promise.resolve(problemResponse(refusal));
  });
  app.get('/', () =>
    json({ name: 'evenkeel', endpoints: offered().map(({ method, path, what }) => ({ method, path, what })) }),
  );
  for (const { method, path, handle } of list) app.on(method, path, handle);
  for (const path of new Set(list.map((one) => one.path))) app.all(path, wrongMethod(list, path));
  app.notFound(({ req }) =>
    problemResponse({
      status: 404,
      title: 'Not found',
      detail: `there is no ${shortened(req.path)}; GET / lists what there is`,
    }),
  );
  app.onError((error, { req }) => {
    options.onError(error, req.path);
    return problemResponse({ status: 500, title: 'Internal error', detail: 'the log says more' });
  });
  return app;
}

function endpoints(options: AdminOptions): readonly Endpoint[] {
  const { actions } = options;
  const get = (path: string, what: string, handle: Handler): Endpoint => ({ method: 'GET', path, what, handle });
  return [
    get('/livez', 'the process runs', () => json({ status: 'live' })),
    get('/readyz', 'ready for traffic, or why not', () => {
      const readiness = readinessOf(actions.readiness());
      return json(readiness, readiness.status === 'ready' ? 200 : 503);
    }),
    get('/health', 'readiness, with the state of the pools', () => {
      const health = healthOf(actions.readiness(), actions.stats());
      return json(health, health.status === 'not-ready' ? 503 : 200);
    }),
    get('/stats', 'everything that is counted, with states and reasons', () =>
      actions.statsBytes('all').then((body) => jsonBody(body)),
    ),
    get('/metrics', 'the same for Prometheus', () =>
      actions.metrics
        .bytes()
        .then(
          (page) => new Response(page, { headers: { ...fixedFields, 'content-type': actions.metrics.contentType } }),
        ),
    ),
    get('/api/version', 'version of evenkeel and of the config in force', () => {
      const { process: own, config } = actions.stats();
      return json({ version: own.version, config: config.version, uptimeSeconds: own.uptimeSeconds });
    }),
    get('/api/config', 'the config in force, secrets left out', () => jsonText(actions.redactedConfig())),
    get('/api/pools', 'pools with their nodes', () => actions.statsBytes('pools').then((body) => jsonBody(body))),
    get('/api/pools/:pool', 'one pool', (context) => {
      const found = findPool(actions.stats().pools, param(context, 'pool'));
      return 'status' in found ? problemResponse(found) : json(found.pool);
    }),
    {
      method: 'PATCH',
      path: '/api/pools/:pool/nodes/:node',
      what: 'set what is wished of a node: {"wish": "ready" | "drain" | "maint"}',
      handle: (context) => setWish(options, context),
    },
    {
      method: 'POST',
      path: '/api/reload',
      what: 'read the config again',
      handle: (context) => reload(options, context),
    },
  ];
}

function wrongMethod(list: readonly Endpoint[], path: string): Handler {
  const allow = list.filter((one) => one.path === path).map((one) => one.method);
  return ({ req }) =>
    problemResponse({
      status: 405,
      title: 'Method not allowed',
      detail: `${shortened(req.path)} takes ${allow.join(', ')}`,
      extra: { allow: allow.join(', ') },
    });
}
