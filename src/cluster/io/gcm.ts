/** AES-256-GCM under a counter as nonce. The caller never uses a counter twice under one key. */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { tagBytes } from '../frames/header.ts';

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(4, Math.floor(counter / 2 ** 32));
  view.setUint32(8, counter % 2 ** 32);
  return nonce;
}

export interface Sealing {
  readonly key: KeyObject;
  readonly counter: number;
  /** In clear, authenticated, comes first in the result. */
  readonly head: Uint8Array;
}

/** head | sealed payload | tag */
export function seal({ key, counter, head }: Sealing, payload: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(counter), { authTagLength: tagBytes });
  cipher.setAAD(head);
  const sealed = cipher.update(payload);
  cipher.final();
  return Buffer.concat([head, sealed, cipher.getAuthTag()]);
}

/** `sealed` is payload and tag. null: it was not sealed with this key, counter and head. */
export function unseal({ key, counter, head }: Sealing, sealed: Uint8Array): Buffer | null {
  if (sealed.byteLength < tagBytes) return null;
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(counter), { authTagLength: tagBytes });
  const end = sealed.byteLength - tagBytes;
  decipher.setAAD(head);
  decipher.setAuthTag(sealed.subarray(end));
  const payload = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
    return payload;
  } catch {
    return null;
  }
}
