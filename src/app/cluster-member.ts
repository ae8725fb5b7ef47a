/**
 * This process as a member of its cluster: from `cluster:` to a MemberHost, and from it to whoever asks.
 *
 *   config --> MemberHost (sockets, journal, machine) --> MemberCoordinator --> rooms above, HaActions
 *                   |-> log, metrics, readiness
 *                   '-> it must not go on, or it has left --> onEnd: the process drains and ends
 *
 * Nothing here waits for a quorum: traffic is served without one. SIGTERM changes no voters: the others are told that
 * this member is away, and a leader hands its office on before.
 */
import type { HaActions } from '../admin/ha/actions.ts';
import { sameData } from '../base/equal.ts';
import type { Millis } from '../base/ids.ts';
import { err, ok, type Result } from '../base/result.ts';
import { MemberCoordinator } from '../cluster/io/coordinator.ts';
import { parseClusterKeys } from '../cluster/io/keyring.ts';
import { type CallResult, MemberHost } from '../cluster/io/member-host.ts';
import { backupNow } from '../cluster/io/online-backup.ts';
import type { Call, CallError, MemberOptions, MemberStatus, Telling } from '../cluster/member/contract.ts';
import type { ClusterConfig, ListenAddress } from '../config/model.ts';
import type { ObservedCluster } from '../observe/cluster-source.ts';
import { adminFor } from './cluster-admin.ts';
import { ClusterLog } from './cluster-log.ts';
import { GossipCounts, observeCluster } from './cluster-observed.ts';
import type { Log } from './log.ts';

export interface ClusterMemberOptions {
  readonly cluster: ClusterConfig;
  readonly dataDir: string;
  /** evenkeel's own. */
  readonly version: string;
  /** Of the admin API, told to the others. */
  readonly admin: ListenAddress | null;
  readonly log: Log;
  /** What concerns the writes of pools with failover. */
  readonly links: MemberLinks;
  /** The process has to end. Told once. */
  onEnd(end: ClusterEnd): void;
}

/** Each takes effect before it returns. */
export interface MemberLinks {
  moving(pool: string): void;
  void(why: string): void;
  told(word: Telling): void;
}

export interface ClusterEnd {
  /** Of the process: 1 if something is wrong, 0 if it was asked to leave. */
  readonly code: 0 | 1;
  readonly why: string;
}

/** A goodbye takes no longer. */
const goodbyeWithin: Millis = 4000;

export class ClusterMember {
  readonly host: MemberHost;
  readonly coordinator: MemberCoordinator;
  readonly #gossip: GossipCounts;
  #options: ClusterMemberOptions;

  private constructor(host: MemberHost, options: ClusterMemberOptions, gossip: GossipCounts) {
    this.host = host;
    this.#gossip = gossip;
    this.coordinator = new MemberCoordinator(host);
    this.#options = options;
  }

  /** The error says what to do. */
  static async open(options: ClusterMemberOptions): Promise<Result<ClusterMember, string>> {
    const { cluster, log } = options;
    const keys = parseClusterKeys(cluster.key);
    if (!keys.ok) return keys;
    const begun: { member: ClusterMember | null; stopped: string | null } = { member: null, stopped: null };
    const gossip = new GossipCounts();
    const told = new ClusterLog(log);
    const opened = await MemberHost.open({
      path: options.dataDir,
      listen: cluster.address,
      name: cluster.member,
      address: cluster.address,
      cluster: { seeds: cluster.seeds, expect: cluster.expect },
      keys: keys.value,
      writes: cluster.mode,
      metadata: metadataOf(options),
      onStop: (why) => {
        begun.stopped = why;
        if (begun.member !== null) options.onEnd({ code: 1, why });
      },
      onEvent: (event) => {
        gossip.heard(event);
        told.tell(event);
      },
      onMoving: (pool) => options.links.moving(pool),
      onTold: (word) => options.links.told(word),
      onVoidLeases: (why) => {
        options.links.void(why);
        log.debug(`cluster: write leases are void: ${why}`, { event: 'cluster-leases-void' });
      },
      onProblem: (line) => log.warn(`cluster: ${line}`, { event: 'cluster-problem' }),
    });
    if (!opened.ok) return opened;
    if (begun.stopped !== null) {
      await opened.value.close();
      return err(begun.stopped);
    }
    const member = new ClusterMember(opened.value, options, gossip);
    begun.member = member;
    const { uid, boot } = opened.value.status();
    const about = { event: 'cluster-member', uid, boot, dataDir: options.dataDir };
    log.info(`member ${cluster.member} of a cluster, on ${opened.value.address}`, about);
    return ok(member);
  }

  /** Takes what a reload may change: the keys, and what the others are told of this member. */
  adopt(change: Pick<ClusterMemberOptions, 'cluster' | 'admin'>): void {
    const keys = parseClusterKeys(change.cluster.key);
    if (keys.ok && !sameData(change.cluster.key, this.#options.cluster.key)) {
      this.host.useKeys(keys.value);
      const ids = this.actions.net().keys;
      this.#options.log.info(`cluster: frames are sealed with key ${ids[0]}, and opened with ${ids.join(', ')}`, {
        event: 'cluster-keys',
      });
    }
    const before = metadataOf(this.#options);
    this.#options = { ...this.#options, ...change };
    const now = metadataOf(this.#options);
    if (!sameData(before, now)) this.host.describe(now);
  }

  get actions(): HaActions {
    const { host, coordinator } = this;
    return {
      coordinator,
      status: () => host.status(),
      transfer: (to) => this.#call({ kind: 'transfer', to }),
      change: ({ change, member, force }) => this.#call({ kind: 'change', change, member, force }),
      leave: async ({ forGood }) => {
        const left = done(await host.leave(forGood));
        const why = forGood ? 'it left the cluster for good' : 'it left the cluster until it is started again';
        // After the answer: whoever asked has it before the admin API closes.
        if (left.ok) setImmediate(() => this.#options.onEnd({ code: 0, why }));
        return left;
      },
      net: () => {
        const { keyIds, net } = host.measures();
        return { keys: keyIds.map(keyIdText), dropped: net.dropped };
      },
      backup: (consistency) => backupNow(this, consistency),
    };
  }

  #call(call: Call): Promise<Result<null, CallError>> {
    return this.host.call(call).then(done);
  }

  observe(): ObservedCluster {
    const { host, coordinator } = this;
    return observeCluster({ host, coordinator, gossip: this.#gossip, dataDir: this.#options.dataDir });
  }

  /** What whoever asks for readiness should know of it; no reason to send no traffic. */
  warnings(): string[] {
    if (!this.host.isOpen) return ['cluster: this member has stopped'];
    const status = this.host.status();
    return status.quorum ? [] : [`cluster: no quorum, so nothing is agreed${whyNoQuorum(status)}`];
  }

  /** Tells the others that this member goes away for a while. Never rejects, and ends within a bounded time. */
  async goodbye(): Promise<void> {
    if (!this.host.isOpen || this.host.status().phase === 'departed') return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, goodbyeWithin);
    });
    await Promise.race([this.host.leave(), late]);
    clearTimeout(timer);
  }

  close(): Promise<void> {
    return this.host.close();
  }
}

const metadataOf = ({ version, cluster, admin }: ClusterMemberOptions): MemberOptions['metadata'] => ({
  version: version.slice(0, 32),
  priority: cluster.priority,
  witness: cluster.witness,
  admin: adminFor(admin, cluster.address),
  zone: cluster.zone,
});

/** As in the log and the API: says which key it is, and nothing of it. */
const keyIdText = (id: number): string => id.toString(16).padStart(4, '0');

const done = (result: CallResult): Result<null, CallError> => (result.ok ? ok(null) : result);

function whyNoQuorum({ missing, reason }: MemberStatus): string {
  if (missing.length > 0) return `: missing ${missing.join(', ')}`;
  return reason === '' ? '' : `: ${reason}`;
}
