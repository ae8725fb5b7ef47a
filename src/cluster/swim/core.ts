/** What the parts of the machine share. Each part owns its own state; this ties them, so that none owns another. */
import type { Millis } from '../../base/ids.ts';
import type { Random } from '../../base/random.ts';
import { Awareness } from './awareness.ts';
import { Doubt } from './doubt.ts';
import { GossipQueue } from './gossip-queue.ts';
import { MemberList } from './member-list.ts';
import type { RefusedWord, SwimCounts } from './model.ts';
import { Outbox } from './outbox.ts';
import { ProbeOrder } from './probe-order.ts';
import { Self } from './self.ts';
import { lanSettings, type SwimOptions, type SwimSettings } from './settings.ts';
import { Suspicions } from './suspicion.ts';

export interface Core {
  readonly settings: SwimSettings;
  readonly random: Random;
  readonly counts: SwimCounts;
  readonly self: Self;
  readonly list: MemberList;
  readonly order: ProbeOrder;
  readonly suspicions: Suspicions;
  readonly queue: GossipQueue;
  readonly awareness: Awareness;
  readonly doubt: Doubt;
  readonly outbox: Outbox;
}

/** How something was heard. */
export interface Hearing {
  readonly now: Millis;
  /** Not news to the cluster: a newcomer does not gossip what it was told at its join. */
  readonly quiet: boolean;
}

/** What one message may add to a known incarnation, boot or sight number. A jump beyond it is no honest history. */
export const leapMax = 2 ** 20;

export function makeCore(options: SwimOptions, random: Random): Core {
  const settings = { ...lanSettings, ...options.settings };
  const self = new Self(options.self);
  const list = new MemberList(random);
  const queue = new GossipQueue(settings.retransmit);
  const awareness = new Awareness(settings.scoreMax);
  return {
    settings,
    random,
    counts: newCounts(),
    self,
    list,
    order: new ProbeOrder(random),
    suspicions: new Suspicions(settings),
    queue,
    awareness,
    doubt: new Doubt(settings.doubtMs),
    outbox: new Outbox({ self, list, queue, awareness }),
  };
}

function newCounts(): SwimCounts {
  const refused: Record<RefusedWord, number> = { leap: 0, full: 0, stranger: 0, misdirected: 0, conflict: 0 };
  return {
    probes: 0,
    probeFailures: 0,
    indirectProbes: 0,
    suspicions: 0,
    refutations: 0,
    deaths: 0,
    conflicts: 0,
    stalls: 0,
    syncs: 0,
    refused,
  };
}
