import { describe, expect, it } from 'vitest';
import { config, lines, routes, warnings } from './helper.ts';

const bad = (cases: readonly (readonly [route: string, expected: RegExp])[]): void => {
  it.each(cases)('%s', (text, expected) => {
    const found = lines(routes(text, '{ exact: /to-api, pool: api }', '{ exact: /to-app, pool: app }'));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });
};

describe('where a route leads', () => {
  bad([
    ['{ pool: ap }', /routes\[0\].pool: there is no pool ap \| did you mean app\?/],
    ['{ pool: zzz }', /there is no pool zzz \| there is app, api/],
    ['{ path: /x }', /routes\[0\]: the route leads nowhere \| give it a pool or a redirect/],
    ['{ pool: app, redirect: /x }', /a route has a pool or a redirect, not both/],
    ['{ pool: [app] }', /pool must be text, not a list/],
    ['{ redirect: "https://{hots}/" }', /has \{hots\} in it, which is not known \| known are \{host\}/],
    ['{ redirect: "javascript:alert(1)" }', /is neither a path nor an address/],
    ['{ redirect: "/a b" }', /has a space or a special character/],
    ['{ redirect: "/a\\r\\nSet-Cookie: x" }', /has a space or a special character/],
    ['{ redirect: { to: /x, status: 200 } }', /status 200 is not one of 301, 302, 303, 307, 308/],
    ['{ redirect: { status: 301 } }', /to is missing/],
    ['{ redirect: /x, request: { remove: [A] } }', /request has no effect on a redirect/],
    ['{ redirect: /x, abortOnFin: true }', /abortOnFin has no effect on a redirect/],
    ['{ path: /x, redirect: /x, stripPrefix: true }', /stripPrefix has no effect on a redirect/],
  ]);
});

describe('what a route matches', () => {
  bad([
    ['{ pool: app, host: "a.b:80" }', /names a port \| leave it out/],
    ['{ pool: app, host: "a*.b" }', /has a \* elsewhere than in front/],
    ['{ pool: app, host: "*.*.b" }', /has a \* elsewhere than in front/],
    ['{ pool: app, host: "a..b" }', /is not a host name/],
    ['{ pool: app, host: "-a.b" }', /is not a host name/],
    ['{ pool: app, host: "http://a" }', /is not a host name/],
    ['{ pool: app, host: "münchen.de" }', /is not ASCII \| write the name as it is sent, in its xn-- form/],
    ['{ pool: app, path: v1 }', /path v1 must start with \//],
    ['{ pool: app, path: /a?b }', /has a query or a fragment/],
    ['{ pool: app, path: "/a b" }', /has a space or a special character in it \| write it percent-encoded/],
    ['{ pool: app, path: /a/* }', /has a \* in it \| a path matches as a prefix already/],
    ['{ pool: app, path: //a }', /would match no request/],
    ['{ pool: app, path: /a/../b }', /would match no request/],
    ['{ pool: app, exact: /a/. }', /would match no request/],
    ['{ pool: app, path: /a, exact: /b }', /a route has path or exact, not both/],
    ['{ pool: app, method: "GE T" }', /is not a method/],
    ['{ pool: app, method: [GET, TRACE] }', /method\[1\]: .* always answers with 405/],
    ['{ pool: app, headers: { "a b": x } }', /a b is not a field name/],
    ['{ pool: app, headers: { a: [x] } }', /a must be .*text.*, not a list/],
    ['{ pool: app, headers: { a: "x\\ny" } }', /has a line break/],
    ['{ pool: app, listen: 81 }', /there is no listener 0.0.0.0:81 \| did you mean 0.0.0.0:8080\?/],
    ['{ pool: app, listen: ["8080", "[::]:99"] }', /routes\[0\].listen\[1\]: there is no listener \[::\]:99/],
    ['{ pool: app, name: "a b" }', /is not a name/],
    ['{ pool: app, name: route-2 }', /routes\[1\]: two routes are named route-2 \| the first is route 1/],
  ]);
});

describe('what a route changes', () => {
  bad([
    ['{ pool: app, stripPrefix: true }', /stripPrefix needs a path/],
    ['{ pool: app, exact: /a, replacePrefix: /b }', /replacePrefix needs a path/],
    ['{ pool: app, path: /a, stripPrefix: true, replacePrefix: /b }', /stripPrefix or replacePrefix, not both/],
    ['{ pool: app, path: /a, replacePrefix: b }', /must start with \//],
    ['{ pool: app, request: { set: { "A B": x } } }', /A B is not a field name/],
    ['{ pool: app, request: { set: { A: "x\\ry" } } }', /A has a line break in it, which would start another field/],
    ['{ pool: app, request: { set: { A: "x\\u0007" } } }', /has a control character/],
    ['{ pool: app, request: { set: { A: "é" } } }', /is not ASCII/],
    ['{ pool: app, request: { set: { A: " x" } } }', /starts or ends with a space/],
    ['{ pool: app, request: { set: { A: { b: c } } } }', /A must be text, not a map/],
    ['{ pool: app, request: { remove: Cookie } }', /remove must be a list, not text/],
    ['{ pool: app, request: { remove: [Host] } }', /Host cannot be removed/],
    ['{ pool: app, request: { add: {} } }', /add is not a key that is known here/],
  ]);

  const framing = [
    'Content-Length',
    'transfer-encoding',
    'Connection',
    'UPGRADE',
    'Trailer',
    'TE',
    'Keep-Alive',
    'Expect',
  ];
  const own = ['X-Forwarded-For', 'x-real-ip', 'Via', 'X-Request-Id', 'X-HA-Epoch', 'Proxy-Status', 'Forwarded'];

  describe.each(['request', 'response'])('in the %s', (side) => {
    it.each([...framing, ...own])('%s stays ours', (name) => {
      const why = framing.includes(name) ? /belongs to the framing/ : /is set by evenkeel itself/;
      for (const edit of [`set: { ${name}: x }`, `remove: [${name}]`]) {
        const found = lines(routes(`{ pool: app, ${side}: { ${edit} } }`, '{ pool: api }'));
        expect(found.join('\n')).toMatch(why);
      }
    });
  });
});

describe('a route that no request reaches', () => {
  const dead = (first: string, second: string): boolean => {
    const text = `listen: [":80", ":81"]\n${routes(first, second, '{ pool: api }')}`;
    return warnings(text).some((one) => /routes\[1\]: no request reaches this route: route 1 /.test(one));
  };

  it.each([
    ['{ pool: app }', '{ path: /a, pool: api }'],
    ['{ path: /, pool: app }', '{ exact: /a, pool: api }'],
    ['{ path: /a, pool: app }', '{ path: /a/, pool: api }'],
    ['{ path: /a, pool: app }', '{ path: /a/b/c, pool: api }'],
    ['{ path: /a, pool: app }', '{ exact: /a, pool: api }'],
    ['{ path: /a, pool: app }', '{ exact: /a/b, pool: api }'],
    ['{ exact: /a, pool: app }', '{ exact: /a, pool: api }'],
    ['{ host: a.b, pool: app }', '{ host: A.B, path: /x, pool: api }'],
    ['{ host: "*.b", pool: app }', '{ host: a.b, pool: api }'],
    ['{ host: "*.b", pool: app }', '{ host: c.a.b, pool: api }'],
    ['{ host: "*.b", pool: app }', '{ host: "*.a.b", pool: api }'],
    ['{ method: [GET, POST], pool: app }', '{ method: [POST, GET], path: /a, pool: api }'],
    ['{ headers: { X: 1 }, pool: app }', '{ headers: { x: 1 }, host: a, pool: api }'],
    ['{ listen: 80, pool: app }', '{ listen: 80, method: GET, pool: api }'],
    ['{ exact: /a, redirect: /b }', '{ exact: /a, pool: app }'],
  ])('%s before %s', (first, second) => {
    expect(dead(first, second)).toBe(true);
  });

  it.each([
    ['{ path: /a, pool: app }', '{ path: /ab, pool: api }'],
    ['{ path: /a/b, pool: app }', '{ path: /a, pool: api }'],
    ['{ exact: /a, pool: app }', '{ path: /a, pool: api }'],
    ['{ exact: /a/b, pool: app }', '{ exact: /a, pool: api }'],
    ['{ host: a.b, pool: app }', '{ host: "*.b", pool: api }'],
    ['{ host: "*.b", pool: app }', '{ host: b, pool: api }'],
    ['{ host: a.b, pool: app }', '{ pool: api, path: / }'],
    ['{ method: GET, pool: app }', '{ method: POST, pool: api }'],
    ['{ headers: { X: 1 }, pool: app }', '{ headers: { X: 2 }, pool: api }'],
    ['{ listen: 80, pool: app }', '{ listen: 81, pool: api }'],
  ])('%s does not take from %s', (first, second) => {
    expect(dead(first, second)).toBe(false);
  });

  it('is found among thousands at once', () => {
    const many = Array.from({ length: 5000 }, (_, i) => `{ host: h${i}.example.com, path: /a/b/c/d/e, pool: app }`);
    const text = routes(...many, '{ host: h77.example.com, path: /a/b/c/d/e/f, pool: api }');
    expect(warnings(text)).toEqual([expect.stringMatching(/routes\[5000\]: no request reaches this route: route 78 /)]);
  });
});

it('a pool that no route leads to', () => {
  expect(warnings(routes('{ pool: app }'))).toEqual(['3:3 pools.api: no route leads to pool api']);
});

it('a pool may stand in several routes, and one pool in routes of its own', () => {
  const text = 'pools: { app: { nodes: [http://a] } }\nroutes: [{ path: /a, pool: app }, { path: /b, pool: app }]';
  expect(config(text).routes).toHaveLength(2);
});

it('that asks for a field which nobody is believed', () => {
  const asking = (name: string, more = ''): readonly string[] =>
    warnings(`${more}${routes(`{ headers: { ${name}: true }, pool: app }`, '{ pool: api }')}`);
  const trusting = 'trustedProxies: [10.0.0.0/8]\n';
  expect(asking('X-Forwarded-Proto')).toEqual([
    expect.stringMatching(/headers\.X-Forwarded-Proto: X-Forwarded-Proto is believed of trustedProxies alone/),
  ]);
  expect(asking('client-cert')).toHaveLength(1);
  expect(asking('X-Forwarded-Proto', trusting)).toEqual([]);
  expect(asking('X-HA-Epoch', trusting)).toEqual([expect.stringMatching(/X-HA-Epoch is taken from every request/)]);
  expect(asking('X-Beta')).toEqual([]);
});
