/** Results that refuse a command, as errors of the contract; and errors as one line for people. */
import { assertNever } from '../../base/assert.ts';
import type { Consistency, CoordinatorError, Ticket } from '../coordinator.ts';
import type { Command, CommandResult } from './command.ts';
import { recordFault } from './pool-steps.ts';

/** Null if the command took effect (or waits in a queue). */
export function refusalOf(result: CommandResult, ticket: Ticket): CoordinatorError | null {
  switch (result.kind) {
    case 'conflict':
    case 'busy':
    case 'deadlock':
    case 'absent':
    case 'too-large':
    case 'full':
      return result;
    case 'unknown':
      return { kind: 'unknown-outcome', ticket };
    case 'unreadable':
      return { kind: 'unsupported' };
    default:
      return null;
  }
}

/** Whether a write may be lost without anybody having relied on it. */
export const mayBeEventual = (command: Command): boolean =>
  (command.kind === 'set' && command.when.kind === 'any' && command.lease === null) ||
  (command.kind === 'delete' && command.when.kind === 'any') ||
  command.kind === 'note';

/** What is wrong with a command before anybody is asked; null if nothing is. */
export function faultOf(command: Command, consistency: Consistency): CoordinatorError | null {
  if (consistency === 'eventual' && !mayBeEventual(command)) return { kind: 'not-eventual' };
  for (const [name, value] of Object.entries(command)) {
    if (typeof value === 'string' && !value.isWellFormed())
      return { kind: 'invalid', what: `${name} is no valid text` };
    if (typeof value === 'number' && !(Number.isSafeInteger(value) && value >= 0)) {
      return { kind: 'invalid', what: `${name} is no whole number from 0 on` };
    }
    if (name === 'ttlMs' && value === 0) return { kind: 'invalid', what: 'ttlMs is 0: it would run out at once' };
  }
  if (command.kind === 'register') return factsFault(command.facts);
  if (command.kind === 'pool') {
    const fault = recordFault(command.record);
    return fault === null ? null : { kind: 'invalid', what: fault };
  }
  if ('when' in command && command.when.kind === 'revision' && !Number.isSafeInteger(command.when.revision)) {
    return { kind: 'invalid', what: 'when.revision is no whole number' };
  }
  return null;
}

function factsFault(facts: readonly (readonly [string, string])[]): CoordinatorError | null {
  for (let i = 0; i < facts.length; i++) {
    const [name, value] = facts[i]!;
    if (!name.isWellFormed() || !value.isWellFormed()) return { kind: 'invalid', what: `fact ${i} is no valid text` };
    if (i > 0 && facts[i - 1]![0] >= name) return { kind: 'invalid', what: 'facts are not sorted by unlike names' };
  }
  return null;
}

/** One line: what happened, to which thing, and what to do. */
export function explain(error: CoordinatorError): string {
  switch (error.kind) {
    case 'no-quorum':
      return error.missing.length === 0
        ? 'no quorum: a majority of the members cannot be reached; nothing was written'
        : `no quorum: ${error.missing.join(', ')} cannot be reached; nothing was written`;
    case 'unknown-outcome':
      return 'the outcome is unknown: it may have been written; read it, or repeat it with the same ticket';
    case 'not-leader':
      return error.leader === null ? 'there is no leader now: try again soon' : `not the leader: ask ${error.leader}`;
    case 'overloaded':
      return 'too many writes are under way: try again soon; nothing was written';
    case 'too-large':
      return `the ${sizeNames[error.what]} would be ${error.size}, at most ${error.max} is allowed`;
    case 'full':
      return `there are ${error.max} ${error.what} already, which is the bound`;
    case 'conflict':
      return error.revision === null
        ? 'the condition does not hold: the key is absent'
        : `the condition does not hold: the key is at revision ${error.revision}`;
    case 'deadlock':
      return `waiting would close a circle: ${error.cycle.map((one) => `${one.owner} waits for ${one.lock}`).join(', ')}`;
    case 'absent':
      return `there is no such ${error.what}, or not any more`;
    default:
      return explainRest(error);
  }
}

const sizeNames = {
  key: 'key, in bytes,',
  value: 'value, in bytes,',
  total: 'keys and values together, in bytes,',
  name: 'name, in bytes,',
  ttl: 'time, in ms,',
  record: 'record, in bytes,',
} as const;

type Explained =
  | 'no-quorum'
  | 'unknown-outcome'
  | 'not-leader'
  | 'overloaded'
  | 'too-large'
  | 'full'
  | 'conflict'
  | 'deadlock'
  | 'absent';

function explainRest(error: Exclude<CoordinatorError, { readonly kind: Explained }>): string {
  switch (error.kind) {
    case 'busy':
      return error.owner === null ? 'the lock rests after its holder was lost' : `${error.owner} holds the lock`;
    case 'timed-out':
      return 'the lock did not become free in time';
    case 'withdrawn':
      return 'the wait for the lock was given up';
    case 'compacted':
      return `changes up to revision ${error.floor} are gone: list, and go on from the list's revision`;
    case 'not-eventual':
      return 'only unconditional writes of keys without a lease can be eventual: ask for quorum or strong';
    case 'invalid':
      return `invalid: ${error.what}`;
    case 'not-open':
      return error.open === null
        ? `no epoch of pool ${error.pool} is open: its writes wait`
        : `pool ${error.pool} is at epoch ${error.open}: pick its primary anew`;
    case 'unsupported':
      return 'this member and the cluster do not understand each other: update the older one';
    case 'closed':
      return 'this member is shutting down';
    default:
      return assertNever(error, 'coordinator error');
  }
}
