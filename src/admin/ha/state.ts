/** The agreed keys: get, list, put, compare and swap, delete. */
import type { Context } from 'hono';
import type { Bytes } from '../../base/ids.ts';
import type { Condition, KvEntry } from '../../cluster/replica/model.ts';
import { param } from '../changes.ts';
import { json, problemResponse, shortened } from '../problem.ts';
import type { HaActions } from './actions.ts';
import type { Asked } from './asked.ts';
import {
  answered,
  askedOf,
  consistencyOf,
  freshnessOf,
  type HaOptions,
  readAsked,
  stateBodyMax,
  writeOptionsOf,
  writtenFacts,
} from './room.ts';
import { bytesOf, type Encoding, encodings, entryShown } from './values.ts';

const encodingOf = (asked: Asked): Encoding => asked.oneOf('encoding', encodings, 'json');

export function getKey(ha: HaActions, context: Context): Response | Promise<Response> {
  const asked = askedOf(context);
  const key = param(context, 'key');
  const consistency = consistencyOf(asked);
  const encoding = encodingOf(asked);
  const at = asked.has('at') ? { at: asked.whole('at') } : {};
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  return ha.coordinator.kv.get(key, { consistency, ...at }).then(
    answered(ha, (read) => {
      const freshness = freshnessOf(read);
      if (read.value !== null) return json({ ...entryShown(read.value, encoding), freshness });
      const detail = `there is no key ${shortened(key)}`;
      return problemResponse({ status: 404, title: 'Absent', detail, extra: { reason: 'absent', key, freshness } });
    }),
  );
}

/** Values in one page: more of them would hold up this thread, and with it the member's words to the others. */
const pageBytes: Bytes = 2 * 1024 * 1024;

/** As many as fit, one at least. */
function pageOf(entries: readonly KvEntry[]): readonly KvEntry[] {
  let bytes = 0;
  const end = entries.findIndex(({ value }, at) => {
    bytes += value.byteLength;
    return at > 0 && bytes > pageBytes;
  });
  return end === -1 ? entries : entries.slice(0, end);
}

export function listKeys(ha: HaActions, context: Context): Response | Promise<Response> {
  const asked = askedOf(context);
  const prefix = asked.text('prefix', '');
  const consistency = consistencyOf(asked);
  const encoding = encodingOf(asked);
  const after = asked.has('after') ? { after: asked.text('after') } : {};
  const max = asked.whole('max', 1000);
  if (max < 1 || max > 10_000) asked.fail('max must be from 1 to 10000');
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  return ha.coordinator.kv.list(prefix, { consistency, max, ...after }).then(
    answered(ha, (read) => {
      const entries = pageOf(read.value.entries);
      return json({
        prefix,
        entries: entries.map((entry) => entryShown(entry, encoding)),
        more: read.value.more || entries.length < read.value.entries.length,
        revision: read.revision,
        freshness: freshnessOf(read),
      });
    }),
  );
}

interface Wish {
  readonly key: string;
  readonly asked: Asked;
  readonly when: Condition;
}

function write(ha: HaActions, { key, asked, when }: Wish): Response | Promise<Response> {
  const encoding = encodingOf(asked);
  if (!asked.has('value')) asked.fail('value is missing: send {"value": ...}');
  const value = asked.any('value');
  const options = writeOptionsOf(ha, asked);
  const lease = asked.has('lease') && asked.any('lease') !== null ? asked.whole('lease') : null;
  const bytes = bytesOf(value ?? null, encoding);
  if (!bytes.ok) asked.fail(bytes.error);
  const wrong = asked.wrong();
  if (wrong !== null || !bytes.ok) return problemResponse(wrong!);
  return ha.coordinator.kv.set(key, bytes.value, { ...options, when, lease }).then(
    answered(ha, (written) => {
      const shown = { key, value, ...(encoding === 'base64' && { encoding }), ...(lease !== null && { lease }) };
      const revision = written.committed ? { revision: written.value } : {};
      return json({ ...shown, ...revision, ...writtenFacts(ha, written) }, written.committed ? 200 : 202);
    }),
  );
}

export function putKey(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  const key = param(context, 'key');
  return readAsked(options, context, stateBodyMax).then((asked) =>
    asked.ok ? write(ha, { key, asked: asked.value, when: { kind: 'any' } }) : problemResponse(asked.error),
  );
}

/** `revision` (0: the key must be absent), or `expected`: the value that it must have, null: absent. */
function conditionOf(asked: Asked): Condition {
  const [byRevision, byValue] = [asked.has('revision'), asked.has('expected')];
  if (byRevision === byValue) asked.fail('say one of revision and expected: what must hold of the key');
  if (byRevision) {
    const revision = asked.whole('revision');
    return revision === 0 ? { kind: 'absent' } : { kind: 'revision', revision };
  }
  const expected = asked.any('expected') ?? null;
  if (expected === null) return { kind: 'absent' };
  const value = bytesOf(expected, encodingOf(asked));
  if (!value.ok) asked.fail(`expected: ${value.error}`);
  return value.ok ? { kind: 'value', value: value.value } : { kind: 'absent' };
}

export function casKey(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  const key = param(context, 'key');
  return readAsked(options, context, stateBodyMax).then((asked) =>
    asked.ok ? write(ha, { key, asked: asked.value, when: conditionOf(asked.value) }) : problemResponse(asked.error),
  );
}

export function deleteKey(options: HaOptions, ha: HaActions, context: Context): Promise<Response> {
  const key = param(context, 'key');
  return readAsked(options, context).then((body) => {
    if (!body.ok) return problemResponse(body.error);
    const asked = body.value;
    const how = writeOptionsOf(ha, asked);
    const when: Condition = asked.has('revision')
      ? { kind: 'revision', revision: asked.whole('revision') }
      : { kind: 'any' };
    const wrong = asked.wrong();
    if (wrong !== null) return problemResponse(wrong);
    return ha.coordinator.kv.delete(key, { ...how, when }).then(
      answered(ha, (written) => {
        const facts = written.committed ? { deleted: written.value !== null, revision: written.value } : {};
        return json({ key, ...facts, ...writtenFacts(ha, written) }, written.committed ? 200 : 202);
      }),
    );
  });
}
