/**
 * A process without `cluster:` whose pools have failover: a cluster of one. What is agreed on is agreed with itself, and
 * kept in `dataDir` like that of any member, so that it can become the first member of a larger cluster later.
 */
import { ok, type Result } from '../base/result.ts';
import { MemberCoordinator } from '../cluster/io/coordinator.ts';
import { MemberHost } from '../cluster/io/member-host.ts';
import type { ClusterEnd, MemberLinks } from './cluster-member.ts';
import type { Log } from './log.ts';

export interface SoloMemberOptions {
  readonly dataDir: string;
  /** evenkeel's own. */
  readonly version: string;
  readonly log: Log;
  readonly links: MemberLinks;
  /** The process has to end. Told once. */
  onEnd(end: ClusterEnd): void;
}

export class SoloMember {
  readonly host: MemberHost;
  readonly coordinator: MemberCoordinator;

  private constructor(host: MemberHost) {
    this.host = host;
    this.coordinator = new MemberCoordinator(host);
  }

  /** The error says what to do. */
  static async open({ dataDir, version, log, links, onEnd }: SoloMemberOptions): Promise<Result<SoloMember, string>> {
    const opened = await MemberHost.open({
      path: dataDir,
      listen: null,
      name: 'single',
      address: '127.0.0.1:1',
      cluster: null,
      keys: [],
      metadata: { version: version.slice(0, 32), priority: 100, witness: false, admin: '', zone: '' },
      onStop: (why) => onEnd({ code: 1, why }),
      onMoving: (pool) => links.moving(pool),
      onVoidLeases: (why) => links.void(why),
      onProblem: (line) => log.warn(`agreed state: ${line}`, { event: 'state-problem' }),
    });
    if (!opened.ok) return opened;
    const { uid, boot } = opened.value.status();
    log.info(`agreed state is kept in ${dataDir}`, { event: 'state-open', uid, boot, dataDir });
    return ok(new SoloMember(opened.value));
  }

  close(): Promise<void> {
    return this.host.close();
  }
}
