/**
 * What a node says of itself in its health answer, beyond "I answer".
 *
 *   application/json   { "status": "degraded", "role": "replica", "lag": 1.5, "position": 4711, "weight": 50 }
 *   text, <= 64 bytes  HAProxy's agent words: up, down, drain, maint, 75%   (`up 75%` is two of them)
 *
 * For failover also `epoch`, `cluster` and `primaryHeard`. What concerns a node's place in its cluster may stand in
 * fields of the answer instead, which a program in front of any app can add: X-HA-Role, X-HA-Epoch, X-HA-Cluster,
 * X-HA-Position, X-HA-Lag, X-HA-Primary-Heard. What the JSON says counts before them.
 *
 * An answer that says nothing of this kind is an ordinary one. A field or word that is not understood is ignored,
 * never an error: the path may belong to a page that was not made for us. Each answer stands for itself; what the
 * last one said and this one doesn't is over. `weight` is a percentage of the configured weight.
 * Source: HAProxy's agent-check; status words also from Spring Boot (`UP`) and the health+json draft (`pass`).
 */

import type { Millis } from '../base/ids.ts';

export interface HealthAnswer {
  readonly says: 'up' | 'degraded' | 'down' | 'drain' | 'maint';
  /** Share of the configured weight, 0 to 10. */
  readonly share: number;
  readonly role: string | null;
  /** How far the node is behind its primary, ms. */
  readonly lag: Millis | null;
  /** What it has applied of its primary's log: a whole number that only grows, and means the same on all nodes. */
  readonly position: number | null;
  /** Highest epoch that it has seen. */
  readonly epoch: number | null;
  /** Id of the cluster that it belongs to. */
  readonly cluster: string | null;
  /** How long ago it heard its primary, ms. */
  readonly primaryHeard: Millis | null;
}

/** An answer that says nothing of itself. */
export const plainAnswer: HealthAnswer = {
  ...{ says: 'up', share: 1 },
  ...{ role: null, lag: null, position: null, epoch: null, cluster: null, primaryHeard: null },
};

/** Its fields by their names in lower case. */
export type AnswerFields = Readonly<Record<string, string | readonly string[] | undefined>>;

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

/** Reads an answer of any kind; never throws. */
export function readAnswer(fields: AnswerFields, body: string): HealthAnswer {
  return withFields(readBody(fieldOf(fields, 'content-type') ?? '', body), fields);
}

/** What fields say of a node's place, where its body says nothing of it. */
export function withFields(answer: HealthAnswer, fields: AnswerFields): HealthAnswer {
  const number = (name: string): number | null => {
    const text = fieldOf(fields, name);
    return text !== null && /^\d{1,16}(\.\d{1,6})?$/.test(text) ? Number(text) : null;
  };
  return {
    ...answer,
    role: answer.role ?? wordOf(fieldOf(fields, 'x-ha-role')),
    epoch: answer.epoch ?? wholeOf(number('x-ha-epoch')),
    cluster: answer.cluster ?? wordOf(fieldOf(fields, 'x-ha-cluster')),
    position: answer.position ?? wholeOf(number('x-ha-position')),
    lag: answer.lag ?? number('x-ha-lag'),
    primaryHeard: answer.primaryHeard ?? number('x-ha-primary-heard'),
  };
}

/** A field that came twice says nothing. */
function fieldOf(fields: AnswerFields, name: string): string | null {
  const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return typeof value === 'string' ? value : null;
}

function readBody(contentType: string, body: string): HealthAnswer {
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
  return {
    says: (typeof status === 'string' ? statusWords.get(status.toLowerCase()) : undefined) ?? 'up',
    share: shareOf(fields['weight']) ?? 1,
    role: wordOf(fields['role']),
    lag: countOf(fields['lag']),
    position: wholeOf(fields['position']),
    epoch: wholeOf(fields['epoch']),
    cluster: wordOf(fields['cluster']),
    primaryHeard: countOf(fields['primaryHeard']),
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

/** A short word; what is longer means nothing here. */
function wordOf(value: unknown): string | null {
  return typeof value === 'string' && value.length >= 1 && value.length <= 64 ? value : null;
}

function wholeOf(value: unknown): number | null {
  return Number.isSafeInteger(value) ? countOf(value) : null;
}

function countOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
