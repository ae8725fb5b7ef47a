/** Three members as processes on loopback, as an operator starts them; nothing else is in their configs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Place } from '../load/place.ts';
import { Process } from '../load/process.ts';

const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const key = Buffer.alloc(32, 7).toString('base64');
const formedWithinMs = 60_000;

export interface Member {
  readonly name: string;
  /** Of the admin API. */
  readonly port: number;
  readonly process: Process;
}

export interface MembersOptions {
  /** Of the data folders. */
  readonly disk: string;
  /** Further arguments of node, given to each: `--cpu-prof`. */
  readonly node?: readonly string[];
}

export async function startMembers(place: Place, { disk, node = [] }: MembersOptions): Promise<readonly Member[]> {
  const names = ['n1', 'n2', 'n3'];
  const addresses: string[] = [];
  for (const _ of names) addresses.push(`127.0.0.1:${await place.port()}`);
  const members: Member[] = [];
  for (const [i, name] of names.entries()) {
    const folder = join(disk, name);
    mkdirSync(folder, { recursive: true });
    const [port, listen] = [await place.port(), await place.port()];
    const file = join(folder, 'config.yaml');
    const seeds = addresses.filter((_, other) => other !== i);
    const config = {
      listen: `127.0.0.1:${listen}`,
      admin: `127.0.0.1:${port}`,
      workers: 1,
      log: { access: 'off' },
      pools: { app: { nodes: ['http://127.0.0.1:1'], health: 'off' } },
      dataDir: join(folder, 'data'),
      cluster: { member: name, address: addresses[i], seeds, expect: names.length, key },
    };
    writeFileSync(file, stringify(config));
    const args = [...node, mainFile, 'run', '-c', file];
    members.push({ name, port, process: place.own(new Process({ file: process.execPath, args })) });
  }
  await formed(members);
  return members;
}

export async function leaderOf(members: readonly Member[]): Promise<Member> {
  const reply = await fetch(`http://127.0.0.1:${members[0]!.port}/api/ha/cluster`);
  const { leader } = (await reply.json()) as { readonly leader: string | null };
  const member = members.find(({ name }) => name === leader);
  if (member === undefined) throw new Error('the cluster has no leader');
  return member;
}

async function formed(members: readonly Member[]): Promise<void> {
  const deadline = performance.now() + formedWithinMs;
  for (const { name, port, process: one } of members) {
    while (!(await isStable(port))) {
      if (performance.now() > deadline || !one.alive) throw new Error(`${name} is in no cluster:\n${one.output}`);
      await pause(50);
    }
  }
}

async function isStable(port: number): Promise<boolean> {
  try {
    const reply = await fetch(`http://127.0.0.1:${port}/api/ha/cluster`);
    return ((await reply.json()) as { readonly state: string }).state === 'STABLE';
  } catch {
    return false;
  }
}
