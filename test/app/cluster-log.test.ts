import { describe, expect, it } from 'vitest';
import { ClusterLog } from '../../src/app/cluster-log.ts';
import { createLog } from '../../src/app/log.ts';
import type { MemberEvent } from '../../src/cluster/member/contract.ts';
import { uid } from '../cluster/io/hosts.ts';

function world() {
  const lines: string[] = [];
  let now = 0;
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const cluster = new ClusterLog(log, () => now);
  return { lines, cluster, pass: (ms: number) => (now += ms) };
}

const claim = (n: number, address: string) => ({
  ...{ id: uid(n), boot: 1, incarnation: 0, name: 'n1', address, joining: false },
  metadata: { version: '1', priority: 100, witness: false, admin: '', zone: '' },
});
const conflict = (n: number): MemberEvent => ({
  kind: 'swim',
  event: { kind: 'conflict', over: 'name', held: claim(1, 'a:1'), claimed: claim(n, `b:${n}`), self: true },
});

describe('two members of one name', () => {
  it('are one line per pair and minute', () => {
    const { lines, cluster, pass } = world();
    for (let i = 0; i < 12; i++) {
      cluster.tell(conflict(2));
      pass(10_000);
    }
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('two members are called n1: the one at a:1 lives, another is at b:2 and is refused');
    cluster.tell(conflict(3));
    expect(lines).toHaveLength(3);
  });

  it('cannot make it remember without bound', () => {
    const { lines, cluster } = world();
    for (let n = 0; n < 1000; n++) cluster.tell(conflict(n));
    expect(lines).toHaveLength(1000);
    cluster.tell(conflict(999));
    expect(lines).toHaveLength(1000);
  });
});
