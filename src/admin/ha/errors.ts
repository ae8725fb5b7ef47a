/**
 * Errors of the cluster as problem+json. `reason` is the word for programs, `detail` the sentence for people; what can be
 * tried again at once has `Retry-After`.
 */
import type { CallError, MemberStatus } from '../../cluster/member/contract.ts';
import { explain } from '../../cluster/replica/refusals.ts';
import type { Extra, ProblemAnswer } from '../problem.ts';

type Kind = CallError['kind'];

const again = { retryAfterSeconds: 1 };

const titles: Readonly<Record<Kind, readonly [status: number, title: string]>> = {
  'no-quorum': [503, 'No quorum'],
  'unknown-outcome': [504, 'Outcome unknown'],
  'not-leader': [421, 'Not the leader'],
  overloaded: [503, 'Too much at once'],
  'too-large': [413, 'Too large'],
  full: [507, 'Full'],
  conflict: [409, 'Conflict'],
  deadlock: [409, 'Deadlock'],
  busy: [409, 'Lock is taken'],
  'timed-out': [409, 'Lock did not become free in time'],
  withdrawn: [409, 'Wait given up'],
  absent: [404, 'Absent'],
  compacted: [410, 'Revision is gone'],
  'not-eventual': [422, 'Cannot be eventual'],
  invalid: [422, 'Invalid'],
  'not-open': [409, 'Epoch is not open'],
  unsupported: [501, 'Not understood by the cluster'],
  closed: [503, 'Shutting down'],
  'change-refused': [409, 'Change refused'],
};

const changes: Readonly<Record<Extract<CallError, { readonly kind: 'change-refused' }>['why'], string>> = {
  'not-leader': 'there is no leader that could do it now: try again soon',
  transferring: 'leadership is being handed on: try again soon',
  busy: 'too much is under way: try again soon',
  'too-large': 'the change is too large',
  'change-pending': 'another change of the members runs, or the leader is new: try again soon',
  'change-void': 'it is so already, or makes no sense',
  'not-caught-up': 'that member has not caught up yet: try again when its lag is 0',
  'no-quorum-after': 'the members that would be left could not commit anything now: bring one back first, or say force',
  'no-such-member': 'no member of that name or id is known',
  'must-leave': 'one of two voters must leave by itself (evenkeel cluster leave there); force says that it is lost',
  'writes-without-lease': 'the other voter still writes without leases: give it expect: 3 or more first',
  slow: 'it takes longer than a request waits; look at the members to see how it ended',
};
const passing: ReadonlySet<string> = new Set(['not-leader', 'transferring', 'busy', 'change-pending']);

/** What beside the sentence a program may want to know. */
function factsOf(error: CallError, status: MemberStatus): Extra {
  switch (error.kind) {
    case 'no-quorum':
      return { missing: error.missing, ...again };
    case 'unknown-outcome':
      return { ticket: ticketText(status.uid, error.ticket) };
    case 'not-leader': {
      const leader = status.members.find(({ id, name }) => id === error.leader || name === error.leader);
      return { leader: leader?.name ?? error.leader, admin: leader?.metadata?.admin || null, ...again };
    }
    case 'too-large':
      return { what: error.what, size: error.size, max: error.max };
    case 'full':
      return { what: error.what, max: error.max };
    case 'conflict':
      return { revision: error.revision };
    case 'deadlock':
      return { cycle: error.cycle };
    case 'busy':
      return { owner: error.owner, until: isoTime(error.until) };
    case 'absent':
      return { what: error.what };
    case 'compacted':
      return { floor: error.floor };
    case 'change-refused':
      return { why: error.why, ...(passing.has(error.why) ? again : {}) };
    case 'overloaded':
    case 'closed':
      return again;
    default:
      return {};
  }
}

export function problemOf(error: CallError, member: MemberStatus): ProblemAnswer {
  const [status, title] = titles[error.kind];
  const detail = error.kind === 'change-refused' ? changes[error.why] : detailOf(error, member);
  return { status: statusOf(error) ?? status, title, detail, extra: { reason: error.kind, ...factsOf(error, member) } };
}

/** Names people know, where the error has ids. */
function detailOf(error: Exclude<CallError, { readonly kind: 'change-refused' }>, member: MemberStatus): string {
  // Before there is a cluster nobody in it can be missing; the member knows for whom it waits.
  if (error.kind === 'no-quorum' && error.missing.length === 0 && member.reason !== '') {
    return `${explain(error)}: ${member.reason}`;
  }
  if (error.kind !== 'not-leader') return explain(error);
  const leader = member.members.find(({ id }) => id === error.leader)?.name ?? error.leader;
  return explain({ kind: 'not-leader', leader });
}

function statusOf(error: CallError): number | null {
  if (error.kind === 'too-large' && error.what === 'ttl') return 422;
  if (error.kind === 'full' && (error.what === 'watchers' || error.what === 'waiters')) return 503;
  if (error.kind !== 'change-refused') return null;
  if (error.why === 'no-such-member') return 404;
  if (error.why === 'slow') return 504;
  return passing.has(error.why) ? 503 : null;
}

/** Tickets are one member's own, so its uid is part of what is handed out. */
export const ticketText = (uid: string, ticket: { readonly boot: number; readonly number: number }): string =>
  `${uid}.${ticket.boot}.${ticket.number}`;

/** Agreed time; null where it is none that a calendar has. */
export const isoTime = (ms: number): string | null =>
  Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null;
