/**
 * What a node says of itself in its health answer, beyond "I answer".
 *
 *   application/json   { "status": "degraded", "role": "replica", "lag": 1.5, "position": 4711, "weight": 50 }
 *   text, <= 64 bytes  HAProxy's agent words: up, down, drain, maint, 75%   (`up 75%` is two of them)
 *
 * An answer that says nothing of this kind is an ordinary one. A field or word that is not understood is ignored,
 * never an error: the path may belong to a page that was not made for us. Each answer stands for itself; what the
 * last one said and this one doesn't is over. `weight` is a percentage of the configured weight.
 * Source: HAProxy's agent-check; status words also from Spring Boot (`UP`) and the health+json draft (`pass`).
 */

export interface HealthAnswer {
  readonly says: 'up' | 'degraded' | 'down' | 'drain' | 'maint';
  /** Share of the configured weight, 0 to 10. */
  readonly share: number;
  readonly role: string | null;
  /** How far the node is behind its primary, in its own unit. */
  readonly lag: number | null;
  readonly position: number | null;
}

/** An answer that says nothing of itself. */
export const plainAnswer: HealthAnswer = { says: 'up', share: 1, role: null, lag: null, position: null };

const agentTextBytes = 64;
const maxPercent = 1000;

const statusWords: ReadonlyMap<string, HealthAnswer['says']> = new Map([
  ['up', 'up'],
  ['ok', 'up'],
  ['pass', 'up'],
  ['healthy', 'up'],
  ['degraded', 'degraded'],
  ['warn', 'degraded'],
  ['down', 'down'],
  ['fail', 'down'],
  ['unhealthy', 'down'],
  ['drain', 'drain'],
  ['maint', 'maint'],
]);
const agentWords: ReadonlySet<string> = new Set(['up', 'down', 'drain', 'maint']);

/** Reads an answer of any kind; never throws. `contentType` is the field's value, empty if there is none. */
export function readAnswer(contentType: string, body: string): HealthAnswer {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  if (type === 'application/json' || type.endsWith('+json')) return readJson(body);
  if (type === '' || type.startsWith('text/')) return readWords(body);
  return plainAnswer;
}

function readJson(body: string): HealthAnswer {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return plainAnswer;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return plainAnswer;
  const fields: { readonly [name: string]: unknown } = { ...value };
  const status = fields['status'];
  const role = fields['role'];
  return {
    says: (typeof status === 'string' ? statusWords.get(status.toLowerCase()) : undefined) ?? 'up',
    share: shareOf(fields['weight']) ?? 1,
    role: typeof role === 'string' ? role : null,
    lag: countOf(fields['lag']),
    position: countOf(fields['position']),
  };
}

/** Only a body that consists of agent words and nothing else counts. */
function readWords(body: string): HealthAnswer {
  if (body.length > agentTextBytes) return plainAnswer;
  const words = body
    .trim()
    .toLowerCase()
    .split(/[\s,]+/);
  let answer = plainAnswer;
  for (const word of words) {
    const share = shareOf(word);
    if (share !== null) answer = { ...answer, share };
    else if (agentWords.has(word)) answer = { ...answer, says: statusWords.get(word) ?? 'up' };
    else return plainAnswer;
  }
  return answer;
}

/** `75%` or 75 -> 0.75; null for anything else. */
function shareOf(value: unknown): number | null {
  const percent = typeof value === 'string' && /^\d{1,4}%$/.test(value) ? Number.parseInt(value, 10) : countOf(value);
  return percent === null || percent > maxPercent ? null : percent / 100;
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
