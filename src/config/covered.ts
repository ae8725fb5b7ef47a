/**
 * Finds routes that no request reaches.
 *
 * A route is dead when an earlier one matches all that it matches. Comparing all pairs would take minutes for 16 384
 * routes; instead each route asks a map for the few matchers that would cover it: its own values or none per field,
 * the wildcards above its host, the prefixes above its path. Routes with several methods or listeners are covered only
 * by the same set or by none, so a union of two earlier routes goes unnoticed: this is a warning, not a proof.
 */
import type { RouteDraft } from './draft.ts';

/** Routes of a file so far, by what they match. */
export class EarlierRoutes {
  readonly #routes = new Map<string, number>();
  // Most hosts and paths above a route's own belong to no route; leaving them out early keeps the product small.
  readonly #hosts = new Set<string>();
  readonly #paths = new Set<string>();

  /** The index of an earlier route that matches all that this one matches, if there is one. Else remembers it. */
  add(route: RouteDraft, index: number): number | undefined {
    const listen = [...(route.listen ?? [])].sort().join(' ');
    const methods = [...(route.method ?? [])].sort().join(' ');
    const headers = headersKey(route);
    const hosts = hostsAbove(route.host);
    const paths = pathsAbove(route);
    for (const host of hosts.filter((one) => this.#hosts.has(one))) {
      for (const path of paths.filter((one) => this.#paths.has(one))) {
        for (const l of unique(listen, '')) {
          for (const m of unique(methods, '')) {
            for (const h of unique(headers, '')) {
              const found = this.#routes.get(key([l, host, path, m, h]));
              if (found !== undefined) return found;
            }
          }
        }
      }
    }
    this.#hosts.add(hosts[0]!);
    this.#paths.add(paths[0]!);
    this.#routes.set(key([listen, hosts[0]!, paths[0]!, methods, headers]), index);
    return undefined;
  }
}

/** None of the parts can hold a line break. */
const key = (parts: readonly string[]): string => parts.join('\n');

function headersKey(route: RouteDraft): string {
  const headers = Object.entries(route.headers).map(([name, value]) => [name.toLowerCase(), value]);
  return headers.length === 0 ? '' : JSON.stringify(headers.sort());
}

const unique = (own: string, none: string): string[] => (own === none ? [own] : [own, none]);

function hostsAbove(host: string | undefined): string[] {
  if (host === undefined) return [''];
  const labels = host.replace(/^\*\./, '').split('.');
  const from = host.startsWith('*.') ? 0 : 1;
  return [...new Set([host, ...labels.slice(from).map((_, i) => `*.${labels.slice(from + i).join('.')}`), ''])];
}

function pathsAbove(route: RouteDraft): string[] {
  if (route.exact === undefined && (route.path === undefined || route.path === '/')) return [''];
  const own = route.exact ?? route.path ?? '/';
  const segments = own.replace(/\/$/, '').split('/').slice(0, 32);
  const above = segments.map((_, i) => `prefix ${segments.slice(0, segments.length - i).join('/')}`).slice(0, -1);
  return [...new Set([route.exact === undefined ? `prefix ${own}` : `exact ${own}`, ...above, ''])];
}
