/** Writes the answers that evenkeel makes itself to a client's socket. */
import { ownAnswer, wantsHtml } from '../answers.ts';
import type { Refusal, RequestHead } from '../http1/request-head.ts';
import type { Client } from './client.ts';
import { countRefusedHead, refusedOutcome } from './settle.ts';

export interface Own {
  readonly status: number;
  readonly detail: string;
  readonly close: boolean;
  /** The request's id. */
  readonly id: string;
  /** null if it could not be read. */
  readonly head: RequestHead | null;
  readonly proxyError?: string;
  readonly retryAfter?: number;
  readonly location?: string;
}

/** Returns the answer's length in bytes, and that of its head. */
export function writeOwn(client: Client, own: Own): { readonly bytesOut: number; readonly headOut: number } {
  const { head } = own;
  const text = ownAnswer({
    status: own.status,
    detail: own.detail,
    requestId: own.id,
    proxyError: own.proxyError ?? '',
    retryAfter: own.retryAfter ?? 0,
    location: own.location ?? '',
    html: wantsHtml(head?.header('accept')),
    close: own.close,
    keepAliveField: head?.minor === 0,
    headOnly: head?.method === 'HEAD',
    date: client.context.date,
  });
  if (!client.socket.write(text, 'latin1')) client.full();
  return { bytesOut: text.length, headOut: text.indexOf('\r\n\r\n') + 4 };
}

/** Answers a request whose head can't be read, and tells counters, events and the access log. The caller closes. */
export function refuseHead(
  client: Client,
  refusal: Refusal,
  seen: { readonly began: number; readonly bytesIn: number },
): void {
  const { context, listener } = client;
  const { status, reason, detail } = refusal;
  context.countRefusal(reason);
  countRefusedHead(context.counters, listener.slot, status);
  const id = context.newRequestId();
  const sent = writeOwn(client, { status, detail: `${detail}.`, close: true, id, head: null });
  tellRefused(client, id, refusal);
  if (!context.settings.accessLog) return;
  const durationMs = context.now() - seen.began;
  context.options.onOutcome(
    refusedOutcome({
      id,
      client: client.peer.address,
      listener: listener.name,
      status,
      bytesIn: seen.bytesIn,
      ...sent,
      durationMs,
    }),
  );
}

/** The line in the log for a request that is refused for what it is, not for where it leads. */
export function tellRefused(client: Client, id: string, { status, reason, detail }: Refusal): void {
  const { address } = client.peer;
  client.context.options.onEvent({
    level: 'info',
    event: 'request-refused',
    message: `a request from ${address} was refused with ${status}: ${detail.replace(/\.$/, '')}`,
    fields: { id, client: address, reason, status },
  });
}
