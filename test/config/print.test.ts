// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are the variables of configs
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { configFromFlags } from '../../src/config/flags.ts';
import { plainConfig, renderConfig } from '../../src/config/print.ts';
import { config, loaded, pools, read } from './helper.ts';

/** `a.b[0]: value # origin` per printed line, by following the indentation. */
function entries(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const stack: { indent: number; name: string; index: number }[] = [];
  for (const row of text.trimEnd().split('\n')) {
    const form = /^( *)(- )?(?:([\w"-]+):)?\s?(.*?)(?:\s+# (.*))?$/.exec(row)!;
    let indent = form[1]!.length;
    if (form[2]) {
      while (stack.length > 0 && stack.at(-1)!.indent > indent) stack.pop();
      if (stack.at(-1)?.indent === indent) stack.at(-1)!.index++;
      else stack.push({ indent, name: '', index: 0 });
      stack.at(-1)!.name = `[${stack.at(-1)!.index}]`;
      indent += 2;
    }
    while (stack.length > 0 && stack.at(-1)!.indent >= indent) stack.pop();
    const prefix = stack
      .map((one) => (one.name.startsWith('[') ? one.name : `.${one.name}`))
      .join('')
      .replace(/^\./, '');
    if (form[5] !== undefined) found.set(form[3] ? `${prefix}.${form[3]}`.replace(/^\./, '') : prefix, form[5]);
    if (form[3] && form[5] === undefined) stack.push({ indent, name: form[3], index: 0 });
  }
  return found;
}

const everything = `
listen: [":80", { address: "[::]:443", tls: { cert: "a b.pem", key: /k.pem, minVersion: 1.3 } }, { address: ":444", tls: { certificates: [{ cert: c, key: d }, { cert: e, key: f }], clientCert: { ca: /ca.pem, mode: request } } }]
workers: 3
pools:
  app:
    balance: { algorithm: consistent-hash, key: "header:X-User" }
    nodes: ["http://a:1", { url: "unix:/run/b.sock", id: b, weight: 0, backup: true, wish: maint }]
    health: { path: "/up?a=1", host: a.b, status: [200, 300-302], body: 'say "ok": #1', interval: 1500ms, jitter: 12.5% }
    slowStart: { window: 90s, aggression: 1.5 }
    passive: off
    panicThreshold: 0.3
    retry: { methods: [PUT], statuses: [502, 503], buffer: 1000B }
    limits: { queueTimeout: 0 }
  api: { nodes: [http://c], health: off, slowStart: 5s }
  tls: { nodes: [https://e, http://f], upstream: { tls: { ca: ca.pem, cert: c.pem, key: k.pem, servername: e.f } } }
  any: { nodes: [https://g], upstream: { tls: { verify: false } } }
  tcp: { nodes: [http://d], health: { kind: tcp, port: 99 } }
routes:
  - { listen: 80, host: "*.a.b", path: /v1, method: [GET, POST], headers: { X-A: "1", X-B: true }, pool: app, stripPrefix: true }
  - { exact: "/a%20b", pool: api, name: exact.1 }
  - { path: /x, replacePrefix: /, pool: tcp }
  - { path: /y, replacePrefix: "/$\${z}", pool: tcp, abortOnFin: true }
  - { path: /old, redirect: { to: "https://{host}{path}", status: 308 } }
  - { pool: app, request: { set: { Host: h.x, X-C: "a: b # c" }, remove: [Cookie] }, response: { set: { X-D: "true" } } }
timeouts: { head: 1m30s }
limits: { maxBody: 10MB, maxFields: 7 }
trustedProxies: [10.0.0.0/8, "::1"]
fields: { via: edge, forwarded: true }
admin: { address: "unix:/run/admin.sock" }
log: { level: warn, access: combined, accessFile: "/var/log/x y.log" }
shutdown: { delay: 5s }
`;

describe('what is printed loads to the same config', () => {
  it('with everything in it', () => {
    const first = loaded(everything);
    expect(config(renderConfig(first))).toEqual(first.config);
  });

  it('and with the least', () => {
    expect(config(renderConfig(loaded(pools)))).toEqual(config(pools));
  });

  it('from flags', () => {
    const flags = configFromFlags({ to: ['http://a', 'http://b'], listen: [':1'], health: '/up', workers: '2' });
    if (!flags.ok) throw new Error('must load');
    expect(config(renderConfig(flags.value))).toEqual(flags.value.config);
  });

  it('whatever text is in a field or a body', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(text, (any) => {
        const escaped = any.replaceAll('${', () => '$${');
        const value = {
          pools: { app: { nodes: ['http://a'], health: { body: escaped } } },
          routes: [{ pool: 'app', response: { set: { A: escaped } } }],
        };
        const first = read(stringify(value));
        if (!first.ok) {
          expect(any.trim()).not.toBe(any);
          return;
        }
        expect(first.value.config.pools[0]?.health?.body).toBe(any);
        expect(config(renderConfig(first.value))).toEqual(first.value.config);
        expect(plainConfig(first.value)).toEqual(parse(renderConfig(first.value)));
      }),
      { numRuns: 300 },
    );
  });
});

it('as plain data it is what its text reads back as', () => {
  const flags = configFromFlags({ to: ['http://a', 'http://b'], listen: [':1'], health: '/up', workers: '2' });
  if (!flags.ok) throw new Error('must load');
  for (const one of [loaded(everything), loaded(pools), flags.value])
    expect(plainConfig(one)).toEqual(parse(renderConfig(one)));
});

describe('where each value came from', () => {
  const text = [
    'listen: ":${PORT}"',
    'workers: ${WORKERS:-2}',
    'pools:',
    '  app:',
    '    balance: round-robin',
    '    nodes:',
    '      - http://a:1',
    '      - { url: "http://${HOST}:2",',
    '          weight: 2 }',
    '    slowStart: 5s',
    '    health: { path: /up,',
    '      status: 200 }',
    'routes:',
    '  - pool: app',
    '    headers: { X-Key: v }',
    '    method: get',
  ].join('\n');
  const from = entries(renderConfig(loaded(text, { PORT: '81', HOST: 'b' })));

  it.each([
    ['listen[0].address', 'c.yaml:1, env PORT'],
    ['workers', 'c.yaml:2, env WORKERS'],
    ['pools.app.balance.algorithm', 'c.yaml:5'],
    ['pools.app.nodes[0].id', 'c.yaml:7'],
    ['pools.app.nodes[0].url', 'c.yaml:7'],
    ['pools.app.nodes[0].weight', 'default'],
    ['pools.app.nodes[1].id', 'default'],
    ['pools.app.nodes[1].url', 'c.yaml:8, env HOST'],
    ['pools.app.nodes[1].weight', 'c.yaml:9'],
    ['pools.app.slowStart.window', 'c.yaml:10'],
    ['pools.app.slowStart.aggression', 'default'],
    ['pools.app.health.path', 'c.yaml:11'],
    ['pools.app.health.status[0]', 'c.yaml:12'],
    ['pools.app.health.fall', 'default'],
    ['pools.app.retry.attempts', 'default'],
    ['pools.app.retry.methods', 'default'],
    ['routes[0].name', 'default'],
    ['routes[0].pool', 'c.yaml:14'],
    ['routes[0].headers.x-key', 'c.yaml:15'],
    ['routes[0].method[0]', 'c.yaml:16'],
    ['timeouts.head', 'default'],
    ['admin.address', 'default'],
    ['trustedProxies', 'default'],
  ])('%s: %s', (path, origin) => {
    expect(from.get(path)).toBe(origin);
  });

  it('covers every line that has a value', () => {
    expect([...from.values()].every((origin) => /^(default|c\.yaml:\d+(, env \w+)?)$/.test(origin))).toBe(true);
  });

  it('a flag is of the command line', () => {
    const flags = configFromFlags({ to: ['http://a'], admin: '127.0.0.1:1' });
    const printed = flags.ok ? entries(renderConfig(flags.value)) : new Map<string, string>();
    expect(printed.get('pools.app.nodes[0].url')).toBe('command line');
    expect(printed.get('admin.address')).toBe('command line');
    expect(printed.get('listen[0].address')).toBe('default');
  });

  it('all of the example', () => {
    const example = readFileSync(join(import.meta.dirname, '../../config.example.yaml'), 'utf8');
    const printed = entries(renderConfig(loaded(example)));
    expect(printed.get('pools.app.nodes[2].id')).toMatch(/^c.yaml:/);
    expect(printed.get('pools.app.health.interval')).toMatch(/^c.yaml:/);
    expect(printed.get('pools.app.health.kind')).toBe('default');
  });
});

describe('secrets', () => {
  it('are not printed', () => {
    const text = `${pools}admin: { token: \${T} }\nroutes: [{ pool: app, headers: { X-Api-Key: hunter2 }, request: { set: { Authorization: "Bearer hunter2", X-Plain: seen } } }]`;
    const printed = renderConfig(loaded(text, { T: 'hunter2hunter2hunter2' }));
    expect(printed).not.toContain('hunter2');
    expect(printed.match(/<redacted>/g)).toHaveLength(3);
    expect(printed).toContain('X-Plain: seen');
    expect(printed).toMatch(/token: "<redacted>" +# c.yaml:2, env T/);
  });
});
