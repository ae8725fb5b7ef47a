/**
 * The answers that evenkeel makes itself: errors and redirects. HTML for browsers, RFC 9457 problem+json otherwise,
 * always with the request id, never with text of the client's, so nothing can be injected.
 */
import { STATUS_TEXT } from './status-text.ts';

export interface OwnAnswer {
  readonly status: number;
  /** One sentence for the client; no client text, no node address. */
  readonly detail: string;
  readonly requestId: string;
  /** Word for Proxy-Status (RFC 9209): `connection_refused`; empty = no such field. */
  readonly proxyError: string;
  /** Seconds for Retry-After; 0 = no such field. */
  readonly retryAfter: number;
  /** Value of Location; empty = no such field. Built so that it holds visible ASCII only. */
  readonly location: string;
  readonly html: boolean;
  readonly close: boolean;
  readonly keepAliveField: boolean;
  /** The answer to HEAD has the fields of the body, not the body. */
  readonly headOnly: boolean;
  /** IMF-fixdate of now. */
  readonly date: string;
}

/** The whole answer as it goes out. ASCII. */
export function ownAnswer(answer: OwnAnswer): string {
  const title = STATUS_TEXT.get(answer.status) ?? 'Error';
  const bare = answer.status === 204;
  const body = answer.html ? htmlBody(answer, title) : problemBody(answer, title);
  const type = answer.html ? 'text/html; charset=utf-8' : 'application/problem+json';
  let fields = `Date: ${answer.date}\r\nCache-Control: no-store\r\nX-Request-Id: ${answer.requestId}\r\n`;
  if (!bare) fields += `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n`;
  if (answer.location !== '') fields += `Location: ${answer.location}\r\n`;
  if (answer.status === 405 || bare) fields += 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';
  if (answer.proxyError !== '') fields += `Proxy-Status: evenkeel; error=${answer.proxyError}\r\n`;
  if (answer.retryAfter > 0) fields += `Retry-After: ${answer.retryAfter}\r\n`;
  if (answer.close) fields += 'Connection: close\r\n';
  else if (answer.keepAliveField) fields += 'Connection: keep-alive\r\n';
  return `HTTP/1.1 ${answer.status} ${title}\r\n${fields}\r\n${answer.headOnly || bare ? '' : body}`;
}

function problemBody(answer: OwnAnswer, title: string): string {
  const problem = {
    type: 'about:blank',
    title,
    status: answer.status,
    detail: answer.detail,
    requestId: answer.requestId,
  };
  return `${JSON.stringify(problem)}\n`;
}

function htmlBody(answer: OwnAnswer, title: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${answer.status} ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:34em;padding:0 1em;color:#222}h1{font-size:1.4em}code{color:#666}</style></head>
<body><h1>${answer.status} ${title}</h1><p>${answer.detail}</p><p><code>${answer.requestId}</code></p></body></html>
`;
}

/** True for a client that would rather read HTML: a browser. */
export const wantsHtml = (accept: string | undefined): boolean => accept?.includes('text/html') ?? false;
