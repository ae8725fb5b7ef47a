/** Readers and models of porcupine's labelled histories: Jepsen's logs of a register, and of keys with append. */
import type { Model } from './checker.ts';
import { type Call, HistoryRecorder, type Operation } from './history.ts';

export type RegisterInput =
  | { readonly do: 'read' }
  | { readonly do: 'write'; readonly value: number }
  | { readonly do: 'cas'; readonly from: number; readonly to: number };
/** Of a read: the value, null before the first write. */
export type RegisterOutput = { readonly ok: boolean; readonly value: number | null };

export const registerModel: Model<number | null, RegisterInput, RegisterOutput> = {
  initial: null,
  part: () => 'register',
  key: String,
  tells: (input, output) => input.do === 'read' || (input.do === 'cas' && !output.ok),
  step(state, input, output) {
    if (input.do === 'read') return output === null || output.value === state ? [state] : [];
    if (input.do === 'write') return [input.value];
    const holds = state === input.from;
    if (output !== null && output.ok !== holds) return [];
    return [holds ? input.to : state];
  },
};

/** `INFO  jepsen.util - 4	:invoke	:cas	[3 0]`. `:info` leaves it open: the client goes on as another process. */
export function parseRegister(log: string): readonly Operation<RegisterInput, RegisterOutput>[] {
  const recorder = new HistoryRecorder<RegisterInput, RegisterOutput>();
  const open = new Map<string, Call>();
  for (const [, client = '', type, what, rest = ''] of log.matchAll(/- (\d+)\s+:(\w+)\s+:(\w+)\s+(.*)$/gm)) {
    const [first, second] = [...rest.matchAll(/-?\d+/g)].map(Number);
    if (type === 'invoke') {
      const input: RegisterInput =
        what === 'read'
          ? { do: 'read' }
          : what === 'write'
            ? { do: 'write', value: first! }
            : { do: 'cas', from: first!, to: second! };
      open.set(client, recorder.invoke(client, input));
      continue;
    }
    const call = open.get(client);
    if (call === undefined) throw new Error(`answer without a call: ${client} ${type} ${what}`);
    open.delete(client);
    if (type === 'ok') recorder.answered(call, { ok: true, value: first ?? null });
    else if (type === 'fail' && what === 'read') recorder.refused(call);
    else if (type === 'fail') recorder.answered(call, { ok: false, value: null });
  }
  return recorder.operations();
}

export interface TextInput {
  readonly do: 'get' | 'put' | 'append';
  readonly key: string;
  readonly value: string;
}

export const textModel: Model<string, TextInput, string> = {
  initial: '',
  part: (input) => input.key,
  key: (state) => state,
  tells: (input) => input.do === 'get',
  step(state, input, output) {
    if (input.do === 'get') return output === null || output === state ? [state] : [];
    return [input.do === 'put' ? input.value : state + input.value];
  },
};

/** `{:process 0, :type :invoke, :f :append, :key "0", :value "x 0 0 y"}`. */
export function parseTexts(log: string): readonly Operation<TextInput, string>[] {
  const recorder = new HistoryRecorder<TextInput, string>();
  const open = new Map<string, Call>();
  const line = /:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (?:nil|"(.*)")\}/g;
  for (const [, client = '', type, what, key = '', value = ''] of log.matchAll(line)) {
    if (type === 'invoke') {
      const input: TextInput = { do: what as TextInput['do'], key, value };
      open.set(client, recorder.invoke(client, input));
    } else recorder.answered(open.get(client)!, value);
  }
  return recorder.operations();
}
