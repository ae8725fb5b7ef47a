/**
 * The limits per client address in one thread: asks the table of clients, counts what is refused, and says about once a
 * second who is. There is none while nothing is limited.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../../base/ids.ts';
import { type ClientKey, type ClientRules, type ClientTable, connectionFate } from '../../scoreboard/clients.ts';
import type { RefusalReason } from '../../scoreboard/layout.ts';
import { clientKey } from '../client-limits.ts';
import { clientAddress, type Peer } from '../forwarding.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Client } from './client.ts';
import type { Context } from './context.ts';

const sayEvery: Millis = 1000;

type Limit = Extract<RefusalReason, `address-${string}`>;
const keys: Readonly<Record<Limit, string>> = {
  'address-connections': 'connections',
  'address-new-connections': 'newConnections',
  'address-requests': 'requests',
};

export class ClientLimiter {
  readonly #context: Context;
  readonly #rules: ClientRules;
  readonly #table: ClientTable;
  #saidAt: Millis = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(context: Context, rules: ClientRules, table: ClientTable) {
    this.#context = context;
    this.#rules = rules;
    this.#table = table;
  }

  /** True: the connection may be served, and is counted until it closes. Those of unix sockets and trusted proxies always may. */
  admits(socket: Socket): boolean {
    const { connections, newConnections } = this.#rules;
    const remote = socket.remoteAddress;
    if ((connections === null && newConnections === null) || remote === undefined) return true;
    const address = remote.startsWith('::ffff:') ? remote.slice(7) : remote;
    if (this.#context.isTrusted(address)) return true;
    const table = this.#table;
    const entry = table.connect(clientKey(address), this.#rules, this.#context.hrtime());
    if (entry >= 0) socket.once('close', () => table.release(entry));
    if (entry >= connectionFate.untracked) return true;
    this.#refused(address, entry === connectionFate.tooMany ? 'address-connections' : 'address-new-connections');
    return false;
  }

  /** 0: the request may be served; else the time until one of this client may. */
  wait(head: RequestHead, client: Client): Millis {
    const { requests } = this.#rules;
    if (requests === null) return 0;
    const { peer } = client;
    const key = peer.trusted ? namedKey(head, peer) : ownKey(client);
    if (key === null) return 0;
    const wait = this.#table.request(key, requests, this.#context.hrtime());
    if (wait > 0) this.#refused(clientAddress(head, peer), 'address-requests');
    return wait;
  }

  #refused(address: string, limit: Limit): void {
    const context = this.#context;
    context.countRefusal(limit);
    const now = context.now();
    if (now - this.#saidAt < sayEvery) {
      this.#unsaid++;
      return;
    }
    const also = this.#unsaid === 0 ? '' : `; ${this.#unsaid} more were refused since this was last said`;
    context.options.onEvent({
      level: 'info',
      event: 'address-limited',
      message: `${address} is over limits.perAddress.${keys[limit]} and was refused${also}`,
      fields: { client: address, reason: limit, more: this.#unsaid },
    });
    this.#saidAt = now;
    this.#unsaid = 0;
  }
}

/** The client that a trusted proxy names; null if it names none but a trusted one, too. */
function namedKey(head: RequestHead, peer: Peer): ClientKey | null {
  const address = clientAddress(head, peer);
  return address === peer.address || peer.isTrusted(address) ? null : clientKey(address);
}

/** Read once per connection. null: a unix socket, which has no address. */
function ownKey(client: Client): ClientKey | null {
  if (client.peer.address === 'unix') return null;
  client.addressKey ??= clientKey(client.peer.address);
  return client.addressKey;
}
