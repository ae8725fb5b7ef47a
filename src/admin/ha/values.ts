/**
 * Values of keys as JSON. What is put as JSON is kept as its text, so `{"value": {"a": 1}}` comes back as it went in. Bytes
 * that are no JSON (written by another room, or put as base64) come as base64, with `encoding: "base64"` beside them.
 */
import { err, ok, type Result } from '../../base/result.ts';
import type { KvEntry } from '../../cluster/replica/model.ts';

export const encodings = ['json', 'base64'] as const;
export type Encoding = (typeof encodings)[number];

export type Shown =
  | { readonly value: unknown; readonly encoding?: never }
  | { readonly value: string; readonly encoding: 'base64' };

const base64Form = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function bytesOf(value: unknown, encoding: Encoding): Result<Uint8Array, string> {
  if (encoding === 'json') return ok(new TextEncoder().encode(JSON.stringify(value)));
  if (typeof value !== 'string' || !base64Form.test(value)) return err('the value is no base64 text');
  return ok(Uint8Array.from(atob(value), (char) => char.charCodeAt(0)));
}

export function shown(bytes: Uint8Array, encoding: Encoding): Shown {
  if (encoding === 'json') {
    try {
      return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown };
    } catch {
      // No JSON: shown as bytes.
    }
  }
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { value: btoa(text), encoding: 'base64' };
}

export const entryShown = (entry: KvEntry, encoding: Encoding): object => ({
  key: entry.key,
  ...shown(entry.value, encoding),
  revision: entry.revision,
  created: entry.created,
  lease: entry.lease,
});
