/**
 * A lock as the contract promises it: one holder, tokens that grow with each grant.
 *
 * That a holder's time runs out is an operation too: whoever records the history adds a `lost` of unknown outcome for
 * every grant, extension and unanswered acquire, called at the earliest moment at which it may happen. A lock that is never lost before that
 * and yet given to another is so found.
 */
import type { Model } from './checker.ts';

export type LockInput =
  | { readonly do: 'acquire'; readonly lock: string; readonly owner: string }
  | { readonly do: 'extend' | 'release'; readonly lock: string; readonly token: number }
  /** `token` null: of an acquire of this owner that was never answered. */
  | { readonly do: 'lost'; readonly lock: string; readonly owner: string; readonly token: number | null };

export type LockOutput =
  | { readonly is: 'held'; readonly token: number }
  /** Not free, or not in time. */
  | { readonly is: 'busy' }
  | { readonly is: 'done' }
  /** Not held under that token. */
  | { readonly is: 'absent' };

export interface LockState {
  /** Null: nobody. */
  readonly owner: string | null;
  /** Of the holder, or the last one. */
  readonly token: number;
  /** False: the token is some number above this one. */
  readonly exact: boolean;
  /** The last holder was lost: it may rest for a while, or not any more. */
  readonly resting: boolean;
}

/** Waits with a bound may end in vain at any moment, so that `busy` is only judged for who would not wait: see `patient`. */
export interface LockModelOptions {
  /** Acquires wait: a busy answer may come even if the lock is free at some moment of the wait. */
  readonly patient: boolean;
}

const holds = (state: LockState, token: number): LockState | null => {
  const can = state.owner !== null && (state.exact ? token === state.token : token > state.token);
  return can ? { ...state, token, exact: true } : null;
};

function acquire(state: LockState, owner: string, output: LockOutput | null, patient: boolean): readonly LockState[] {
  const granted: LockState = { owner, token: state.token, exact: false, resting: false };
  if (output === null) return state.owner === null ? [state, granted] : [state];
  if (output.is === 'busy') {
    return patient || state.resting || (state.owner !== null && state.owner !== owner) ? [state] : [];
  }
  if (output.is !== 'held') return [];
  if (state.owner === owner) {
    const same = holds(state, output.token);
    return same === null ? [] : [same];
  }
  return state.owner === null && output.token > state.token ? [{ ...granted, token: output.token, exact: true }] : [];
}

function ended(state: LockState, resting: boolean): LockState {
  return { ...state, owner: null, resting };
}

/** An extension or a release, answered `done`, `absent` or not at all. */
function withToken(
  state: LockState,
  input: { readonly do: string; readonly token: number },
  output: LockOutput | null,
): readonly LockState[] {
  const held = holds(state, input.token);
  const sure = held !== null && state.exact;
  const after = held !== null && input.do === 'release' ? ended(held, false) : held;
  const done = after !== null && (output === null || output.is === 'done') ? [after] : [];
  return !sure && (output === null || output.is === 'absent') ? [...done, state] : done;
}

export const lockModel = ({ patient }: LockModelOptions): Model<LockState, LockInput, LockOutput> => ({
  initial: { owner: null, token: 0, exact: true, resting: false },
  part: (input) => input.lock,
  key: (state) =>
    `${state.owner === null ? '-' : `=${state.owner}`} ${state.exact ? '' : '>'}${state.token} ${state.resting ? 'r' : ''}`,
  tells: (input, output) => output.is === 'busy' || output.is === 'absent' || input.do === 'extend',
  step(state, input, output) {
    if (input.do === 'acquire') return acquire(state, input.owner, output, patient);
    if (input.do !== 'lost') return withToken(state, input, output);
    if (state.owner !== input.owner) return [state];
    const held = input.token === null ? state : holds(state, input.token);
    return held === null ? [state] : [ended(held, true)];
  },
});
