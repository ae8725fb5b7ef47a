/** The text that consistent hashing hashes: what the config names, or the client's address where the request has no such thing. */
import type { PoolRow } from '../routing/snapshot.ts';
import type { RequestHead } from './http1/request-head.ts';

export function hashKeyOf(key: PoolRow['balance']['key'], head: RequestHead, clientAddress: string): string {
  switch (key.from) {
    case 'address':
      return clientAddress;
    case 'path': {
      const query = head.target.indexOf('?');
      return query === -1 ? head.target : head.target.slice(0, query);
    }
    case 'header':
      return head.header(key.name.toLowerCase()) ?? clientAddress;
    case 'cookie':
      return cookieOf(head.header('cookie'), key.name) ?? clientAddress;
  }
}

/** Value of a cookie in a Cookie field. */
export function cookieOf(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined;
  for (const pair of field.split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
