/**
 * The key that signs the tokens of reads after writes. Members of a cluster derive it from the key that they share, so
 * that each knows the tokens of the others. A process alone keeps one of its own in its data folder: with a new one,
 * tokens of before would be forged ones, and their reads would all go to the primary.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseClusterKeys } from '../cluster/io/keyring.ts';
import type { Config } from '../config/model.ts';

const bytes = 32;
const purpose = 'evenkeel tokens of reads after writes';

export async function tokenKeyOf({ cluster, dataDir }: Config): Promise<Uint8Array> {
  if (cluster === null) return derive(await ownSecret(dataDir));
  const keys = parseClusterKeys(cluster.key);
  const [first] = keys.ok ? keys.value : [];
  // Without a key all is on loopback, where nothing is kept from anybody.
  return derive(first ?? Buffer.from([cluster.address, ...cluster.seeds].sort().join(' ')));
}

const derive = (secret: Uint8Array): Uint8Array => new Uint8Array(hkdfSync('sha256', secret, '', purpose, bytes));

/** Made once; readable by its owner alone. */
async function ownSecret(folder: string): Promise<Uint8Array> {
  const file = join(folder, 'token.key');
  const known = await readFile(file).catch(() => null);
  if (known !== null && known.length === bytes) return known;
  const secret = randomBytes(bytes);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.writeFile(secret);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return secret;
}
