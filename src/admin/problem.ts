/**
 * Answers of the admin API: JSON, and errors as RFC 9457 problem+json. Errors name what was asked and what to do, and hold no
 * secret.
 */
import type { Problem as ConfigProblem } from '../config/model.ts';

export type Extra = Readonly<Record<string, unknown>>;

export interface ProblemAnswer {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  /** Members of its own: `known`, `problems`. */
  readonly extra?: Extra;
}

export const fixedFields = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export const json = (value: unknown, status = 200): Response => jsonText(JSON.stringify(value), status);

/** The same of JSON that is made already. */
export const jsonText = (text: string, status = 200): Response => jsonBody(`${text}\n`, status);

/** With its last line's end. */
export const jsonBody = (body: string | Uint8Array<ArrayBuffer>, status = 200): Response =>
  new Response(body, {
    status,
    headers: { ...fixedFields, 'content-type': 'application/json' },
  });

/** Text from a caller, cut short and with whatever is not printable ASCII escaped: it may end up on a terminal. */
export const printable = (text: string, longest: number): string =>
  (text.length > longest ? `${text.slice(0, longest)}...` : text).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The same in quotes, for messages. */
export const shortened = (text: string): string => `"${printable(text, 100)}"`;

export function problemResponse({ status, title, detail, extra = {} }: ProblemAnswer): Response {
  const headers: Record<string, string> = { ...fixedFields, 'content-type': 'application/problem+json' };
  if (status === 401) headers['www-authenticate'] = 'Bearer realm="evenkeel"';
  if (typeof extra['retryAfterSeconds'] === 'number') headers['retry-after'] = String(extra['retryAfterSeconds']);
  if (status === 405 && typeof extra['allow'] === 'string') headers['allow'] = extra['allow'];
  return new Response(`${JSON.stringify({ type: 'about:blank', status, title, detail, ...extra })}\n`, {
    status,
    headers,
  });
}

/** A config problem without its source line, which may hold a secret. */
export function withoutSource(problem: ConfigProblem): Omit<ConfigProblem, 'source'> {
  const { source: _, ...rest } = problem;
  return rest;
}

const shownAtMost = 40;

/** `known: "a", "b"`, cut short; for names that a caller may have meant. */
export function oneOf(names: readonly string[]): string {
  if (names.length === 0) return 'there are none';
  const shown = names.slice(0, shownAtMost).map(shortened);
  const more = names.length - shown.length;
  return `known: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
