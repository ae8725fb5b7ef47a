/** An admin API over real HTTP, on actions that note what they were asked. */
import { request } from 'node:http';
import type {
  AdminAccess,
  AdminActions,
  AuditEntry,
  ReadinessFacts,
  ReloadResult,
  WishChange,
} from '../../src/admin/actions.ts';
import type { HaActions } from '../../src/admin/ha/actions.ts';
import type { FailoverActions } from '../../src/admin/ha/failover-actions.ts';
import { type AdminServer, serveAdmin } from '../../src/admin/io/serve.ts';
import type { ProblemAnswer } from '../../src/admin/problem.ts';
import { ok, type Result } from '../../src/base/result.ts';
import { createObserver } from '../../src/observe/io/observer.ts';
import type { ObservedState } from '../../src/observe/source.ts';
import { node, pool, source, state } from '../observe/fixture.ts';

export interface World {
  access: AdminAccess;
  view: ObservedState;
  readiness: ReadinessFacts;
  reload: () => Promise<ReloadResult>;
  /** What the next change of a wish is answered. */
  wished: Result<null, ProblemAnswer>;
  readonly wishes: WishChange[];
  readonly audited: AuditEntry[];
  readonly errors: unknown[];
  readonly server: AdminServer;
  readonly port: number;
  ask(ask: Ask): Promise<Answer>;
  close(): Promise<void>;
}

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

export const token = 's3cret-admin-token';

export const ready: ReadinessFacts = {
  configLoaded: true,
  listeners: [{ name: '0.0.0.0:8080', open: true, problem: null }],
  firstHealthRound: true,
  draining: false,
};

export async function startWorld(
  change: Partial<AdminAccess> = {},
  ha?: HaActions | 'starting',
  failover?: FailoverActions | 'starting',
): Promise<World> {
  const address = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  const from = source(
    state({ pools: [...state().pools, pool('unix pool', 1, [node('unix pool', 'unix:/run/a.sock', 2)])] }),
  );
  const observer = createObserver(from);
  const { metrics } = observer;
  const wishes: WishChange[] = [];
  const audited: AuditEntry[] = [];
  const errors: unknown[] = [];
  const actions: AdminActions = {
    access: () => world.access,
    stats: () => observer.view(),
    statsBytes: (part) => observer.statsBytes(part),
    metrics,
    readiness: () => world.readiness,
    redactedConfig: () => '{"admin":{"token":"***"}}',
    setWish: (wish) => {
      wishes.push(wish);
      return Promise.resolve(world.wished);
    },
    reload: () => world.reload(),
    audit: (entry) => void audited.push(entry),
    ha,
    failover,
  };
  const world: World = {
    access: { token: null, address, hosts: [], ...change },
    get view() {
      return from.view;
    },
    set view(next) {
      from.view = next;
    },
    readiness: ready,
    reload: () => Promise.resolve({ ok: true, version: 4, changed: true, warnings: [] }),
    wished: ok(null),
    wishes,
    audited,
    errors,
    get server() {
      return server;
    },
    get port() {
      return server.address.kind === 'tcp' ? server.address.port : 0;
    },
    ask: (one) => send({ host: '127.0.0.1', port: world.port }, one),
    close: () => {
      observer.close();
      return server.close();
    },
  };
  const server = await serveAdmin({ actions, address: world.access.address, onError: (error) => errors.push(error) });
  return world;
}

type Where = { readonly host: string; readonly port: number } | { readonly socketPath: string };

export function send(where: Where, { method = 'GET', path, headers = {}, body }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const isSized = body !== undefined && headers['transfer-encoding'] === undefined;
    const fields = isSized ? { ...headers, 'content-length': String(Buffer.byteLength(body)) } : headers;
    const sent = request({ ...where, method, path, headers: fields, agent: false, setHost: !('host' in headers) });
    sent.on('error', reject);
    sent.on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = /json/.test(answer.headers['content-type'] ?? '') && text !== '';
        const json = isJson ? (JSON.parse(text) as Readonly<Record<string, unknown>>) : {};
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, json });
      });
    });
    sent.end(body);
  });
}
