/**
 * A node's standing in words: one word for the line in the log, one sentence for status and metrics. The first thing
 * that keeps traffic away is named first: the operator's wish, then the node's own, then its checks, then ejection.
 */
import type { Millis } from '../base/ids.ts';
import type { Wish } from '../base/node-state.ts';
import type { HealthAnswer } from './answer.ts';
import type { Ejection } from './eject.ts';
import type { CheckState } from './node.ts';
import type { NodeDecision } from './pool.ts';

export interface Standing {
  readonly wish: Wish;
  readonly check: CheckState;
  readonly answer: HealthAnswer;
  readonly ejection: Ejection;
  readonly decision: NodeDecision;
}

export interface Words {
  /** Follows `node app/app-1 is `. */
  readonly state: string;
  readonly why: string;
}

export function describe(standing: Standing): Words {
  const { wish, check, answer, decision } = standing;
  if (wish === 'maint') return { state: 'in maintenance', why: 'the operator wishes it: no traffic, no checks' };
  if (wish === 'drain') return { state: 'draining', why: 'the operator wishes it: no new traffic' };
  if (decision.reason === 'panic') {
    return { state: 'used in panic', why: `too few nodes of the pool are fit; ${checkWords(check)}` };
  }
  if (check.at === 'unknown') return { state: 'unknown', why: checkWords(check) };
  if (check.at === 'down') return { state: 'down', why: checkWords(check) };
  if (answer.says === 'drain' || answer.says === 'maint') {
    return { state: 'draining', why: `its health answer says ${answer.says}` };
  }
  if (standing.ejection.at !== 'in') return ejectionWords(standing.ejection, decision);
  if (answer.says === 'degraded') return { state: 'degraded', why: 'its health answer says so' };
  return { state: 'up', why: checkWords(check) };
}

function checkWords(check: CheckState): string {
  switch (check.at) {
    case 'unchecked':
      return 'no health check is configured';
    case 'unknown':
      return 'not checked yet';
    case 'down':
      return `${count(check.failed, 'failed check')}: ${check.detail}`;
    case 'up':
      if (check.failed > 0) return `${count(check.failed, 'failed check')}: ${check.detail}`;
      return check.passed === 0 ? check.detail : `${count(check.passed, 'passed check')}: ${check.detail}`;
  }
}

function ejectionWords(ejection: Exclude<Ejection, { at: 'in' }>, decision: NodeDecision): Words {
  const cause = `${ejection.cause}${ejection.row > 1 ? `; ${ordinal(ejection.row)} ejection in a row` : ''}`;
  if (decision.reason === 'spared') {
    return { state: 'used in spite of its ejection', why: `${cause}; too few other nodes are fit` };
  }
  if (ejection.at === 'probation') return { state: 'on probation', why: `${cause}; one real request may try it now` };
  return { state: `ejected for ${inWords(ejection.until - ejection.since)}`, why: cause };
}

/** `1 failed check`, `3 failed checks in a row`. */
function count(n: number, what: string): string {
  return n === 1 ? `1 ${what}` : `${n} ${what}s in a row`;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const suffix = tens >= 11 && tens <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${suffix}`;
}

/** `250 ms`, `1.5 s`, `30 s`, `5 min`. */
export function inWords(span: Millis): string {
  if (span < 1000) return `${Math.round(span)} ms`;
  if (span < 120_000) return `${Number((span / 1000).toFixed(1))} s`;
  return `${Number((span / 60_000).toFixed(1))} min`;
}
