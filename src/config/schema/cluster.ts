/** What makes this process a member of a cluster, and where it keeps what it must not forget. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseClusterKey, parseMemberAddress } from '../cluster-words.ts';
import { presets } from '../preset.ts';
import { oneOrMore, parsed, section, whole } from './scalars.ts';

export const defaultDataDir = './data';

export const dataDir = parsed('folder', (text) =>
  text === '' || text.includes('\0') ? err('is not the name of a folder') : ok(text),
)
  .prefault(defaultDataDir)
  .meta({ 'x-default': '`$STATE_DIRECTORY`, else `./data`' })
  .describe(
    'Where the agreed state of a cluster is kept, or of pools with `failover` without one, and the identity of this member; on a local disk, for one process alone. A relative name starts at the working directory. Made if it is not there.',
  );

export const preset = z
  .enum(presets)
  .optional()
  .meta({ 'x-default': 'none' })
  .describe(
    "Fills in what the file leaves open in `cluster` and in each pool's `health` and `failover`: `development` for one member alone, `simple-failover` for two and a witness, `full-ha` for three, `distributed` for five or more over zones. `config print` shows what came from it.",
  );

const memberAddress = parsed('host:port', parseMemberAddress);

const memberName = parsed('name', (text) =>
  /^[A-Za-z0-9._-]{1,63}$/.test(text) ? ok(text) : err('is not a name of 1 to 63 letters, digits, ".", "_" and "-"'),
);

const zone = parsed('name', (text) =>
  /^[\x21-\x7e]{0,64}$/.test(text) ? ok(text) : err('may hold at most 64 visible ASCII characters'),
);

export const cluster = section({
  member: memberName.describe('Name of this member, unlike that of every other. `CLUSTER_NODE_ID` overrides it.'),
  address: memberAddress.describe(
    'Where the other members reach this one, on UDP and TCP; it is bound as well. Written as in their `seeds`. `CLUSTER_ADDRESS` and `CLUSTER_PORT` override it.',
  ),
  seeds: oneOrMore(memberAddress)
    .prefault([])
    .describe(
      'The other members that form the cluster with this one; for a member that joins later: some that are in it. `CLUSTER_SEED_NODES` (comma-separated) overrides it.',
    ),
  expect: whole(1, 9).describe(
    'How many voters there shall be. `address` and `seeds` together must be exactly so many, and form the cluster once all of them are there. `CLUSTER_EXPECT` overrides it.',
  ),
  key: oneOrMore(parsed('secret', parseClusterKey))
    .prefault([])
    .describe(
      'Secret of the cluster, the same on all members: 32 random bytes or more as base64 or hexadecimal digits (`openssl rand -base64 32`). Of a list the first one seals, and all of them open: so a key is exchanged, by reloads alone. At most 8. May be left out on loopback only.',
    ),
  priority: whole(0, 65_535)
    .prefault(100)
    .describe('Who leads, if it can be chosen: the highest. 0: never this one. `CLUSTER_NODE_PRIORITY` overrides it.'),
  witness: z
    .boolean()
    .prefault(false)
    .describe(
      'This member votes, keeps the log and carries no traffic: no listener opens. Of `pools` only those with `failover` are named: it watches their nodes as well. It leads only while nobody else can. `CLUSTER_WITNESS` overrides it; then `listen`, `routes` and other pools may stand in the file, and count for nothing.',
    ),
  zone: zone
    .prefault('')
    .describe(
      'What it shares its fate with, such as a rack or an availability zone. Empty: none. `CLUSTER_ZONE` overrides it.',
    ),
  mode: z
    .enum(['multi-master', 'master-slave'])
    .prefault('multi-master')
    .describe(
      'Which members take writes to the agreed state: every one, which hands them to the leader, or the leader alone. `CLUSTER_MODE` overrides it.',
    ),
})
  .optional()
  .describe('With it the process is a member of a cluster. A change of it needs a restart, but for `key` and `zone`.');
