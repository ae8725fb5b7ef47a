/** One thing that the admin API does: GET / lists them. */
import type { Context } from 'hono';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Endpoint {
  readonly method: Method;
  readonly path: string;
  readonly what: string;
  readonly handle: (context: Context) => Response | Promise<Response>;
}
