import { afterEach, describe, expect, it } from 'vitest';
import { Failover } from '../../src/app/failover.ts';
import { Scoreboard } from '../../src/scoreboard/scoreboard.ts';
import { removeFolders } from '../cluster/io/folders.ts';
import { until } from '../cluster/io/hosts.ts';
import { Members } from '../cluster/io/members.ts';
import { config } from '../config/helper.ts';

const file = config(
  'pools: { app: { nodes: [{ id: a, url: http://10.0.0.1:1 }, { id: b, url: http://10.0.0.2:1 }], failover: automatic } }\n',
);

describe('what operators ask', () => {
  let members: Members;
  let failover: Failover;
  afterEach(async () => {
    failover.close();
    await members.close();
    removeFolders();
  });

  it('is judged by the cluster as it is, not as it was at the last look', async () => {
    members = await Members.of(3);
    await members.startAll();
    await members.led();
    const seat = members.leader!;
    const host = seat.host!;
    failover = new Failover({
      host,
      coordinator: members.coordinator(seat),
      primary: Scoreboard.create(1).primary,
      monitor: { lead: () => {}, probeNow: () => {}, reports: () => [] },
      tell: () => {},
      tlsOf: () => null,
      onEvent: () => {},
    });
    failover.configure(file, new Map());
    const ask = () => failover.command({ kind: 'failback', pool: 'app', dryRun: true });
    expect(await ask()).toMatchObject({ ok: false, error: { kind: 'busy' } });
    await Promise.all(members.followers.map((follower) => members.stop(follower)));
    // In the turn that finds it lost: whatever looks from time to time has not looked yet.
    let answer: ReturnType<typeof ask> | null = null;
    await until('no quorum', () => {
      if (!host.status().quorum) answer ??= ask();
      return answer !== null;
    });
    expect(await answer).toEqual({ ok: false, error: { kind: 'no-quorum', missing: [] } });
  });
});
