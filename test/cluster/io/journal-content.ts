/** What entry `index` holds in the journal's tests: of many sizes, and to be checked afterwards. */
export function contentOf(index: number): Uint8Array {
  const bytes = Buffer.alloc(8 + ((index * 37) % 700), index % 256);
  bytes.writeUInt32BE(index);
  return bytes;
}
