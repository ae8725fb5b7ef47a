/** Routes: what they name exists, what they hold fits together, and no request is stolen by an earlier one. */
import { isProxyField } from '../base/proxy-fields.ts';
import { routeName } from './build.ts';
import { EarlierRoutes } from './covered.ts';
import type { Draft, RouteDraft } from './draft.ts';
import { clip } from './issues.ts';
import { guess, keyPlaceOf, type Ledger, placeOf } from './ledger.ts';
import { at, type Path } from './tree.ts';

export function checkRoutes(draft: Draft, ledger: Ledger): void {
  const { routes } = draft;
  const poolNames = draft.pools.map((pool) => pool.name);
  if (routes === undefined) {
    if (poolNames.length > 1 && draft.cluster?.witness !== true) {
      const place = keyPlaceOf(ledger, ['pools', poolNames[1]!]);
      ledger.problems.error(
        place,
        `there are ${poolNames.length} pools and no routes`,
        'say under routes what goes to which pool',
      );
    }
    return;
  }
  const names = new Map<string, number>();
  for (const [index, route] of routes.entries()) {
    checkPoolName(['routes', index, 'pool'], poolNames, ledger);
    if (!route) continue;
    checkName(route, { index, names, ledger });
    checkTarget(route, { path: ['routes', index], ledger });
    checkListen(route, { index, draft, ledger });
    checkFields(route, { index, draft, ledger });
  }
  // What is wrong anyway may take from others, or leave a pool alone, by mistake.
  if (ledger.problems.failed) return;
  checkCovered(routes, ledger);
  checkUnused(routes, poolNames, ledger);
}

function checkName(
  route: RouteDraft,
  { index, names, ledger }: { index: number; names: Map<string, number>; ledger: Ledger },
): void {
  const name = routeName(route, index);
  const first = names.get(name);
  if (first === undefined) names.set(name, index);
  else {
    const place = placeOf(ledger, route.name === undefined ? ['routes', index] : ['routes', index, 'name']);
    ledger.problems.error(place, `two routes are named ${name}`, `the first is route ${first + 1}`);
  }
}

/** By what is written, so that a fault elsewhere in the route does not hide this one. */
function checkPoolName(path: Path, poolNames: readonly string[], ledger: Ledger): void {
  const here = at(ledger.tree, path);
  if (here?.kind !== 'scalar' || here.value === null) return;
  const name = String(here.written ?? here.value);
  if (!poolNames.includes(name)) {
    ledger.problems.error(placeOf(ledger, path), `there is no pool ${clip(name)}`, guess(name, poolNames));
  }
}

interface TargetContext {
  readonly path: Path;
  readonly ledger: Ledger;
}

function checkTarget(route: RouteDraft, { path, ledger }: TargetContext): void {
  const { problems } = ledger;
  const key = (name: string) => keyPlaceOf(ledger, [...path, name]);
  if (route.exact !== undefined && route.path !== undefined)
    problems.error(key('exact'), 'a route has path or exact, not both');
  if (route.pool !== undefined && route.redirect !== undefined) {
    problems.error(key('redirect'), 'a route has a pool or a redirect, not both', 'make two routes of it');
  }
  if (route.pool === undefined && route.redirect === undefined) {
    problems.error(placeOf(ledger, path), 'the route leads nowhere', 'give it a pool or a redirect');
  }
  checkRewrite(route, key, ledger);
  if (route.redirect === undefined) return;
  for (const name of ['request', 'abortOnFin'] as const) {
    if (at(ledger.tree, [...path, name])) problems.error(key(name), `${name} has no effect on a redirect`, 'remove it');
  }
}

function checkRewrite(
  route: RouteDraft,
  key: (name: string) => ReturnType<typeof keyPlaceOf>,
  { problems }: Ledger,
): void {
  const both = route.stripPrefix && route.replacePrefix !== undefined;
  if (both) problems.error(key('replacePrefix'), 'a route has stripPrefix or replacePrefix, not both');
  const name = route.stripPrefix ? 'stripPrefix' : route.replacePrefix !== undefined ? 'replacePrefix' : null;
  if (name === null) return;
  if (route.redirect !== undefined)
    problems.error(key(name), `${name} has no effect on a redirect`, 'write the path into redirect');
  else if (route.path === undefined) {
    problems.error(key(name), `${name} needs a path, which is the prefix that it means`, 'add path: /prefix');
  }
}

function checkListen(
  route: RouteDraft,
  { index, draft, ledger }: { index: number; draft: Draft; ledger: Ledger },
): void {
  if (!draft.listen) return;
  const known = draft.listen.map((one) => one.address.name);
  const path: Path = ['routes', index, 'listen'];
  const isList = at(ledger.tree, path)?.kind === 'list';
  for (const [at, name] of (route.listen ?? []).entries()) {
    if (known.includes(name)) continue;
    ledger.problems.error(
      placeOf(ledger, isList ? [...path, at] : path),
      `there is no listener ${name}`,
      guess(name, known),
    );
  }
}

/** Fields that are never believed, and so are on no request. */
function checkFields(
  route: RouteDraft,
  { index, draft, ledger }: { index: number; draft: Draft; ledger: Ledger },
): void {
  for (const name of Object.keys(route.headers)) {
    const lower = name.toLowerCase();
    const place = keyPlaceOf(ledger, ['routes', index, 'headers', name]);
    if (lower.startsWith('x-ha-'))
      ledger.problems.warning(place, `${name} is taken from every request: none has it here`);
    else if (isProxyField(lower) && draft.trustedProxies?.length === 0) {
      ledger.problems.warning(
        place,
        `${name} is believed of trustedProxies alone, and there are none: no request has it here`,
        'name the proxies in front under trustedProxies',
      );
    }
  }
}

/** A pool that no route leads to is probed for nothing. */
function checkUnused(routes: readonly (RouteDraft | null)[], poolNames: readonly string[], ledger: Ledger): void {
  const used = new Set(routes.map((route) => route?.pool));
  for (const name of poolNames) {
    if (!used.has(name)) ledger.problems.warning(keyPlaceOf(ledger, ['pools', name]), `no route leads to pool ${name}`);
  }
}

function checkCovered(routes: readonly (RouteDraft | null)[], ledger: Ledger): void {
  const earlier = new EarlierRoutes();
  for (const [index, route] of routes.entries()) {
    const covering = route === null ? undefined : earlier.add(route, index);
    if (covering === undefined) continue;
    ledger.problems.warning(
      placeOf(ledger, ['routes', index]),
      `no request reaches this route: route ${covering + 1} matches all of them before`,
      'put the more special route first',
    );
  }
}
