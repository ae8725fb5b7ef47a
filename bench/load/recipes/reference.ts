/** The two references on Node: what a user would write in an afternoon, and what carries many such proxies. */
import { fileURLToPath } from 'node:url';
import type { Recipe, Stand } from './recipe.ts';

export interface ReferenceOptions {
  readonly port: number;
  readonly nodes: readonly string[];
  readonly cert: string | null;
  readonly key: string | null;
}

const reference =
  (source: string) =>
  (stand: Stand): Recipe => {
    const { port, nodes, certificate } = stand;
    const options: ReferenceOptions = { port, nodes, cert: certificate?.cert ?? null, key: certificate?.key ?? null };
    const file = fileURLToPath(new URL(`../peers/${source}`, import.meta.url));
    return {
      files: {},
      command: { file: stand.program, args: [file, JSON.stringify(options)] },
      reload: null,
    };
  };

export const httpProxy3 = reference('http-proxy-3.ts');
export const undici = reference('undici.ts');
