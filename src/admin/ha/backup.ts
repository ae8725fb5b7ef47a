/** The agreed state as a file, for `evenkeel cluster restore`. */
import type { Context } from 'hono';
import { fixedFields, problemResponse } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { answered, askedOf, consistencyOf } from './room.ts';

export function takeBackup(ha: HaActions, context: Context): Response | Promise<Response> {
  const asked = askedOf(context);
  const consistency = consistencyOf(asked);
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  return ha.backup(consistency).then(answered(ha, fileOf));
}

function fileOf(parts: readonly Uint8Array[]): Response {
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  const headers = { ...fixedFields, 'content-type': 'application/octet-stream', 'content-length': String(size) };
  return new Response(bytes, { headers });
}
