/**
 * Keys as the contract promises them: one value per key, revisions that grow, conditions that are looked at and acted on at
 * once.
 *
 * A state knows the key's revision exactly, or (after a write that was not answered) only that it is above one. The first
 * answer that names it settles it.
 */
import type { Model } from './checker.ts';

export type KvInput =
  | { readonly do: 'get'; readonly key: string }
  | { readonly do: 'set'; readonly key: string; readonly value: string }
  | { readonly do: 'delete'; readonly key: string }
  /** Sets if the value is `from`; null: if the key is absent. */
  | { readonly do: 'cas'; readonly key: string; readonly from: string | null; readonly to: string }
  /** Sets if the key is at this revision. */
  | { readonly do: 'cas-revision'; readonly key: string; readonly at: number; readonly to: string };

export type KvOutput =
  /** `revision` is that of the entry. */
  | { readonly is: 'value'; readonly value: string; readonly revision: number }
  | { readonly is: 'absent' }
  /** Of a set, or of a deletion that found something. */
  | { readonly is: 'written'; readonly revision: number }
  /** The condition did not hold; the key's revision, null if it is absent. */
  | { readonly is: 'conflict'; readonly revision: number | null };

export interface KvState {
  /** Null: absent. */
  readonly value: string | null;
  readonly revision: number;
  /** False: the revision is some number above this one. */
  readonly exact: boolean;
}

/** The same state, known to be at `revision`; null if it can't be. */
function at(state: KvState, revision: number): KvState | null {
  const can = state.exact ? revision === state.revision : revision > state.revision;
  return can ? { ...state, revision, exact: true } : null;
}

const some = (state: KvState | null): readonly KvState[] => (state === null ? [] : [state]);

/** After a write of `value`, answered with `output` or not at all. */
function written(state: KvState, value: string | null, output: KvOutput | null): readonly KvState[] {
  if (output === null) return [{ value, revision: state.revision, exact: false }];
  if (output.is !== 'written' || output.revision <= state.revision) return [];
  return [{ value, revision: output.revision, exact: true }];
}

function conflict(state: KvState, output: KvOutput | null): readonly KvState[] {
  if (output === null) return [state];
  if (output.is !== 'conflict') return [];
  if (state.value === null) return output.revision === null ? [state] : [];
  return output.revision === null ? [] : some(at(state, output.revision));
}

function get(state: KvState, output: KvOutput | null): readonly KvState[] {
  if (output === null) return [state];
  if (output.is === 'absent') return state.value === null ? [state] : [];
  if (output.is !== 'value' || output.value !== state.value) return [];
  return some(at(state, output.revision));
}

function remove(state: KvState, output: KvOutput | null): readonly KvState[] {
  if (state.value !== null) return written(state, null, output);
  return output === null || output.is === 'absent' ? [state] : [];
}

function casRevision(state: KvState, input: { readonly at: number; readonly to: string }, output: KvOutput | null) {
  const held = state.value === null ? null : at(state, input.at);
  const done = held === null ? [] : written(held, input.to, output);
  const sure = held !== null && state.exact;
  const refused = sure ? [] : conflict(state, output).filter((after) => !(after.exact && after.revision === input.at));
  return [...done, ...refused];
}

export const kvModel: Model<KvState, KvInput, KvOutput> = {
  initial: { value: null, revision: 0, exact: true },
  part: (input) => input.key,
  key: (state) => `${state.value === null ? '-' : `=${state.value}`} ${state.exact ? '' : '>'}${state.revision}`,
  tells: (_, output) => output.is !== 'written',
  step(state, input, output) {
    switch (input.do) {
      case 'get':
        return get(state, output);
      case 'set':
        return written(state, input.value, output);
      case 'delete':
        return remove(state, output);
      case 'cas':
        return state.value === input.from ? written(state, input.to, output) : conflict(state, output);
      case 'cas-revision':
        return casRevision(state, input, output);
    }
  },
};
