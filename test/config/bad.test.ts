import { describe, expect, it } from 'vitest';
import { faults, lines, pool, pools, routes, warnings } from './helper.ts';

/** Each text has exactly one problem, which reads as the pattern says. */
const one = (cases: readonly (readonly [text: string, expected: RegExp])[]): void => {
  it.each(cases)('%s', (text, expected) => {
    const found = lines(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });
};

describe('all problems at once', () => {
  const text = [
    'listen: :x',
    'workes: 3',
    'pools:',
    '  app:',
    '    blance: round-robin',
    '    nodes:',
    '      - http://a:1',
    '      - { url: http://a:2, wieght: 2 }',
    '      - http://a:1',
    '    health: { interval: 5 }',
    'routes:',
    '  - { pool: ap }',
    'log: { level: inf }',
  ].join('\n');

  it('each with its place, path and hint, in the order of the file', () => {
    expect(lines(text)).toEqual([
      '1:9 listen: listen :x is not an address to listen on | write 0.0.0.0:8080, [::]:8080, :8080 or unix:/path',
      '2:1 workes: workes is not a key that is known at the top level | did you mean workers?',
      '5:5 pools.app.blance: blance is not a key that is known here | did you mean balance?',
      '8:28 pools.app.nodes[1].wieght: wieght is not a key that is known here | did you mean weight?',
      '9:9 pools.app.nodes[2]: http://a:1 is in pool app twice | the first is on line 7',
      '10:25 pools.app.health.interval: interval 5 has no unit: write 5s or 5ms',
      '12:13 routes[0].pool: there is no pool ap | did you mean app?',
      '13:15 log.level: level inf is not one of fatal, error, warn, info, debug, trace | did you mean info?',
    ]);
  });

  it('and with the line itself', () => {
    const found = faults(text);
    expect(found.map((problem) => problem.source)).toEqual(
      [1, 2, 5, 8, 9, 10, 12, 13].map((n) => text.split('\n')[n - 1]),
    );
    expect(found.every((problem) => problem.file === 'c.yaml' && problem.severity === 'error')).toBe(true);
  });

  it('but no more than can be read', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `key${i}: 1`).join('\n');
    const found = lines(`${pools}${many}`);
    expect(found).toHaveLength(201);
    expect(found.at(-1)).toMatch(/and 4800 more problems like these/);
  });
});

describe('kinds of values', () => {
  one([
    ['[]', /1:1 : the file must be a map of keys such as listen and pools/],
    ['hello', /the file must be a map/],
    ['{}', /pools: pools is missing | name the nodes/],
    ['pools:', /1:1 pools: pools is empty \| remove the key, or give it a value/],
    ['pools: {}', /pools: pools is empty \| name at least one pool/],
    ['pools: []', /pools must be a map, not a list/],
    ['pools: { app: }', /pools.app: app is empty/],
    ['pools: { app: http://a }', /app must be a map, not text/],
    ['pools: { app: {} }', /pools.app.nodes: pool app has no nodes \| list them/],
    ['pools: { app: { nodes: [] } }', /nodes is an empty list/],
    ['pools: { app: { nodes: } }', /nodes is empty/],
    ['pools: { app: { nodes: http://a } }', /nodes must be a list, not text \| write \[http:\/\/a\]$/],
    ['pools: { app: { nodes: [[]] } }', /nodes must be text or a map, not a list/],
    ['pools: { app: { nodes: [{ weight: 1 }] } }', /url is missing/],
    ['pools: { "a b": { nodes: [http://a] } }', /"a b" is not a name/],
    ['pools: { -a: { nodes: [http://a] } }', /"-a" is not a name/],
    [`routes: []\n${pools}`, /routes is an empty list/],
    [`routes:\n${pools}`, /1:1 routes: routes is empty/],
    [`routes: { pool: app }\n${pools}`, /routes must be a list, not a map/],
    [`routes: [app]\n${pools}`, /routes must be a map, not text/],
    [`workers: 0\n${pools}`, /workers 0 must be a whole number from 1 to 64/],
    [`workers: 1.5\n${pools}`, /workers must be a whole number, not the number 1.5/],
    [`workers: "4"\n${pools}`, /workers must be "auto" or a number, not text \| leave out the quotes/],
    [`workers: many\n${pools}`, /workers must be "auto" or a number, not text/],
    [`limits: 5\n${pools}`, /limits must be a map, not the number 5/],
    [`limits: { maxFields: many }\n${pools}`, /maxFields must be a number, not text/],
    [`fields: { trailers: yes }\n${pools}`, /trailers must be true or false, not text \| write true$/],
    [`fields: { trailers: never }\n${pools}`, /trailers must be true or false, not text$/],
    [`trustedProxies: 10.0.0.0\n${pools}`, /trustedProxies must be a list, not text/],
    [`listen: []\n${pools}`, /listen is an empty list/],
    [`listen: [{}]\n${pools}`, /address is missing/],
    ['pools: { app: { nodes: [http://a], upstream: { tls: { servername: a.b } } } }', /no node of the pool is https/],
    ['pools: { app: { nodes: [https://a], upstream: { tls: { cert: a } } } }', /upstream.tls.key: key is missing/],
    ['pools: { app: { nodes: [https://a], upstream: { tls: { servername: "*.a" } } } }', /is not a host such as/],
    [`listen: { address: ":443", tls: { cert: a } }\n${pools}`, /listen.tls.key: key is missing/],
    [`listen: { address: ":443", tls: { key: b, minVersion: 1.3 } }\n${pools}`, /listen.tls.cert: cert is missing/],
    [
      `listen: { address: ":443", tls: { key: k, certificates: [{ cert: a, key: b }] } }\n${pools}`,
      /listen.tls.key: key and certificates exclude each other/,
    ],
    [
      `listen: { address: ":443", tls: { cert: a, key: b, minVersion: 1.1 } }\n${pools}`,
      /listen.tls.minVersion: minVersion 1.1 is not a version of TLS/,
    ],
    [
      `listen: { address: ":443", tls: { cert: a, key: b, clientCert: { mode: require } } }\n${pools}`,
      /listen.tls.clientCert.ca: ca is missing/,
    ],
    [`log: { access: off, accessFile: [] }\n${pools}`, /accessFile must be empty or text, not a list/],
  ]);
});

describe('words and numbers', () => {
  one([
    [`timeouts: { head: 0s }\n${pools}`, /head 0s is 0s, below the least of 1ms/],
    [`timeouts: { head: 25h }\n${pools}`, /head 25h is 25h, above the most of 24h/],
    [`timeouts: { head: 10 }\n${pools}`, /head 10 has no unit: write 10s or 10ms/],
    [`limits: { maxHead: 65536 }\n${pools}`, /maxHead 65536 has no unit: write 65536B/],
    [`limits: { maxHead: 2MiB }\n${pools}`, /above the most of 1MiB/],
    [`limits: { maxBody: 10 }\n${pools}`, /maxBody 10 has no unit/],
    [`limits: { maxBody: infinite }\n${pools}`, /maxBody infinite is not a size/],
    [`limits: { maxField: 64KiB }\n${pools}`, /limits.maxField: maxField is larger than maxHead, which holds it/],
    [`limits: { maxHead: 4KiB, maxField: 1KiB }\n${pools}`, /limits.maxHead: maxTarget is larger than maxHead/],
    [
      `trustedProxies: [10.0.0.0/33]\n${pools}`,
      /trustedProxies\[0\]: .* prefix length that is not a number from 0 to 32/,
    ],
    [`trustedProxies: [proxy.local]\n${pools}`, /is not an address or block/],
    [`limits: { perAddress: { connections: 0 } }\n${pools}`, /connections 0 must be a whole number from 1 to 1000000/],
    [`limits: { perAddress: { requests: 0 } }\n${pools}`, /requests 0 must be a number from 0.001 to 1000000/],
    [`limits: { perAddress: { requests: { perSecond: 5 } } }\n${pools}`, /burst/],
    [
      `limits: { perAddress: { requests: { perSecond: 5, burst: 0.5 } } }\n${pools}`,
      /burst must be a whole number, not the number 0.5/,
    ],
    [`limits: { perAddress: { request: 5 } }\n${pools}`, /did you mean requests/],
    [`log: { access: false }\n${pools}`, /access false is not one of json, combined, off/],
    [`log: { accessFile: "" }\n${pools}`, /is not the name of a log file/],
    [`fields: { via: "a b" }\n${pools}`, /is not a name of letters/],
    [`fields: { underscore: keep }\n${pools}`, /underscore keep is not one of drop, allow, reject/],
    [`shutdown: { delay: -1s }\n${pools}`, /delay -1s is not a duration/],
    [`listen: 70000\n${pools}`, /listen 70000 is not an address to listen on/],
    [pool('balance: least-connection'), /is not one of .* \| did you mean least-connections\?/],
    [pool('balance: { algorithm: consistent-hash, key: ip }'), /key ip is not a key \| write address, path/],
    [pool('balance: { algorithm: consistent-hash, key: "header:" }'), /has a name that is not a field name/],
    [pool('balance: { algorithm: round-robin, key: path }'), /key has no effect with round-robin/],
    [pool('slowStart: 30'), /slowStart 30 has no unit: write 30s or 30ms/],
    [pool('slowStart: { window: 1s, aggression: 0 }'), /must be a number from 0.1 to 10/],
    [pool('panicThreshold: 50'), /panicThreshold 50 is more than one: did you mean 50%\?/],
    [pool('retry: { attempts: 0 }'), /attempts 0 must be a whole number from 1 to 10/],
    [pool('retry: { methods: [CONNECT] }'), /retry.methods\[0\]: .* always answers with 405/],
    [pool('retry: { statuses: [200] }'), /statuses 200 must be a whole number from 400 to 599/],
    [pool('passive: { ejectBase: 10m }'), /passive.ejectBase: ejectBase is longer than ejectMax/],
    [pool('passive: { ejectMax: 1s }'), /passive.ejectMax: ejectBase is longer than ejectMax/],
    [pool('passive: on'), /passive must be "off" or false or a map, not text|passive on is not one of off, false/],
    [pool('health: on'), /health/],
    [pool('health: /up'), /health must be "off" or false or a map, not text \| write { path: \/up }$/],
    [pool('failover: { promote: /promote }'), /promote must be a map, not text \| write { post: \/promote }$/],
    [
      pool('failover: manual\n    split: { reads: replica }'),
      /reads must be .* or a list, not text \| did you mean replicas\?$/,
    ],
    [pool('health: { kind: tcp, path: /up }'), /path has no effect with kind: tcp/],
    [pool('health: { kind: tcp, status: 200 }'), /status has no effect with kind: tcp/],
    [pool('health: { method: HEAD, body: ok }'), /an answer to HEAD has no body/],
    [pool('health: { path: up }'), /path up is not a path such as \/health/],
    [pool('health: { status: 600 }'), /status 600 is not a status or range/],
    [pool('health: { status: 399-200 }'), /is a range that ends before it starts/],
    [pool('health: { host: "*.a" }'), /is not a host such as/],
    [pool('health: { body: "" }'), /must have 1 to 1024 characters/],
    ['pools: { a: { nodes: ["unix:/a"], health: { port: 1 } } }', /has unix: nodes, which have no port/],
  ]);
});

describe('nodes', () => {
  const node = (text: string) => `pools: { a: { nodes: [${text}] } }`;
  one([
    [node('10.0.0.1:3000'), /is not the url of a node \| write http:\/\/10.0.0.1:3000/],
    [node('"ftp://a"'), /is not the url of a node \| write http:\/\/host:port or unix:\/path/],
    [node('http://a/api'), /must end behind the port \| to change paths/],
    [node('"http://a/?x"'), /must end behind the port/],
    [node('"http://a:99999"'), /is not a url/],
    [node('"http://u:secret@a"'), /^[^@]*: nodes holds a user or a password/],
    [node('{ url: http://a, id: "a b" }'), /id a b is not an id/],
    [node('{ url: http://a, weight: 1001 }'), /weight 1001 must be a whole number from 0 to 1000/],
    [node('{ url: http://a, backup: 1 }'), /backup must be true or false, not the number 1/],
    [node('{ url: http://a, wish: down }'), /wish down is not one of ready, drain, maint/],
    [node('http://a:80, http://A'), /nodes\[1\]: http:\/\/A is in pool a twice/],
    [node('{ url: http://a, id: x }, { url: http://b, id: x }'), /nodes\[1\]: the id x is in pool a twice/],
    [node('"unix:run/a"'), /must be unix: and an absolute path/],
  ]);
});

describe('what is not there yet says so', () => {
  it('sessions', () => {
    expect(lines(`sessions: {}\n${pools}`)).toEqual([
      '1:1 sessions: sessions is not available in this version | remove it',
    ]);
  });

  one([
    [pool('affinity: { cookie: ek }'), /affinity is not available in this version/],
    [`listen: { address: ":1", proxyProtocol: true }\n${pools}`, /proxyProtocol is not available in this version/],
  ]);
});

describe('what other proxies call it', () => {
  one([
    ['pools: { a: { nodes: [http://a], healthCheck: {} } }', /did you mean health\?/],
    ['pools: { a: { nodes: [http://a], algorithm: rr } }', /did you mean balance\?/],
    [`bind: 1\n${pools}`, /did you mean listen\?/],
    [`threads: 1\n${pools}`, /did you mean workers\?/],
    [`database: 1\n${pools}`, /known are listen, workers, pools/],
  ]);
});

describe('across sections', () => {
  one([
    [`listen: [":80", "0.0.0.0:80"]\n${pools}`, /listen\[1\]: 0.0.0.0:80 is listened on twice/],
    [`listen: [":0", ":0"]\n${pools}`, /cannot both be on port 0/],
    [`listen: 127.0.0.1:9090\n${pools}`, /127.0.0.1:9090 is the admin address as well/],
    [`listen: "[::]:9090"\n${pools}`, /\[::\]:9090 has the port of the admin address 127.0.0.1:9090/],
    [`listen: ":9090"\n${pools}`, /0.0.0.0:9090 has the port of the admin address 127.0.0.1:9090 \| give one/],
    [
      `listen: "[::1]:90"\nadmin: { address: "[::]:90", token: ${'x'.repeat(20)} }\n${pools}`,
      /\[::1\]:90 has the port of the admin address \[::\]:90/,
    ],
    [`admin: 0.0.0.0:9090\n${pools}`, /would be open to everybody who reaches 0.0.0.0:9090 \| set admin.token/],
    [`admin: { address: "[::]:9090", token: "" }\n${pools}`, /would be open to everybody/],
    [
      `listen: [${Array.from({ length: 65 }, (_, i) => 10_000 + i).join(', ')}]\n${pools}`,
      /there are 65 listeners; at most 64/,
    ],
    ['pools: { a: { nodes: [http://a] }, b: { nodes: [http://b] } }', /pools.b: there are 2 pools and no routes/],
    [routes('{ pool: app }', '{ pool: api, hots: a.b }'), /hots is not a key .* did you mean host/],
  ]);

  it('more nodes or pools than there is room for', () => {
    const nodes = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => `http://n:${from + i}`).join(',');
    const two = `pools: { a: { nodes: [${nodes(1, 9000)}] }, b: { nodes: [${nodes(1, 9000)}] } }\nroutes: [{ path: /a, pool: a }, { pool: b }]`;
    expect(lines(two).join('\n')).toMatch(/there are 18000 nodes in all pools; at most 16384 are possible/);
    const many = Array.from({ length: 1025 }, (_, i) => `  p${i}: { nodes: [http://a] }`).join('\n');
    expect(lines(`pools:\n${many}\n`).join('\n')).toMatch(/there are 1025 pools; at most 1024 are possible/);
  });
});

describe('warnings', () => {
  it('do not keep a config from loading', () => {
    expect(warnings(`admin: { token: short }\n${pools}`)).toEqual([
      '1:17 admin.token: the admin token has fewer than 16 characters and could be guessed | take a random one: openssl rand -hex 32',
    ]);
  });

  it('least-connections above 128 nodes is not exact', () => {
    const nodes = (count: number) =>
      `pools: { a: { nodes: [${Array.from({ length: count }, (_, i) => `http://n:${i + 1}`)}] } }`;
    expect(warnings(nodes(128))).toEqual([]);
    expect(warnings(nodes(129)).join()).toMatch(/takes the best of 16 draws/);
  });

  it('a pool whose nodes all take nothing', () => {
    const text = 'pools: { a: { nodes: [{ url: http://a, weight: 0 }, { url: http://b, wish: maint }] } }';
    expect(warnings(text).join()).toMatch(/no node of pool a takes traffic/);
  });
});
