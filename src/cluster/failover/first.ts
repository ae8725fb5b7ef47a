/**
 * A pool without agreed state (4.3): its nodes are asked first.
 *
 *   nobody has seen an epoch       the file's wish, epoch 1
 *   all answered, and one says     1 + the highest epoch seen, that node
 *   primary at the highest
 *   anything else                  undecided: an operator adopts one
 */
import { firstRecord } from './changes.ts';
import type { PoolLead } from './lead.ts';
import type { PolicyNode } from './model.ts';
import type { KeptReport } from './reports.ts';

interface Heard {
  readonly node: PolicyNode;
  /** null: it did not answer. */
  readonly report: KeptReport | null;
}

export function tendFirst(lead: PoolLead): void {
  const { core, pool, policy } = lead;
  if (lead.isBusy) return;
  const heard = policy.nodes.map((node): Heard => ({ node, report: answerOf(lead, node) }));
  const patience = lead.since + 2 * policy.interval + policy.timeout;
  const unasked = policy.nodes.filter(({ id }) => pool.reports.all(id).every(({ up }) => up === null));
  if (unasked.length > 0 && core.now < patience) {
    lead.reason = `${unasked.map(({ id }) => id).join(', ')} were not asked yet who is primary`;
    return pool.wake(patience);
  }
  const { node, epoch, why } = firstOf(core.rules.asksFirst() ? heard : heard.map(unheard), core.view.cluster);
  const target = node === null ? null : { node: node.id, url: node.url };
  const position = target === null ? null : pool.reports.position(target, -Infinity);
  lead.reason = why;
  lead.propose(firstRecord(lead.at, { epoch, target, position }), why);
}

const unheard = ({ node }: Heard): Heard => ({ node, report: null });

const answerOf = (lead: PoolLead, { id, url }: PolicyNode): KeptReport | null =>
  lead.pool.reports.newest(id, (report) => report.up === true && report.url === url);

export interface First {
  readonly node: PolicyNode | null;
  readonly epoch: number;
  readonly why: string;
}

export function firstOf(heard: readonly Heard[], cluster: string | null): First {
  const undecided = (why: string): First => ({ node: null, epoch: 0, why });
  const answers = heard.flatMap(({ node, report }) => (report === null ? [] : [{ node, report }]));
  const foreign = answers.find(({ report }) => report.cluster !== null && report.cluster !== cluster);
  if (foreign !== undefined) return undecided(`${foreign.node.id} follows another cluster, ${foreign.report.cluster}`);
  const highest = Math.max(0, ...answers.map(({ report }) => report.epoch ?? 0));
  if (highest === 0) {
    const wish = heard.find(({ node }) => node.role === 'primary')?.node ?? null;
    if (wish === null) return undecided('no node has role primary in the file');
    return { node: wish, epoch: 1, why: `no node has seen an epoch: ${wish.id} is primary, as in the file` };
  }
  const silent = heard.filter(({ report }) => report === null).map(({ node }) => node.id);
  if (silent.length > 0) return undecided(`epoch ${highest} was seen, and ${silent.join(', ')} did not answer`);
  const primaries = answers.filter(({ report }) => report.role === 'primary' && report.epoch === highest);
  const [only] = primaries;
  if (only === undefined || primaries.length > 1)
    return undecided(`epoch ${highest} was seen, and ${primaries.length} nodes say that they are its primary`);
  return { node: only.node, epoch: highest + 1, why: `${only.node.id} says that it is primary of epoch ${highest}` };
}

/** An epoch above all that any node has seen. */
export const epochAbove = (lead: PoolLead): number =>
  1 +
  Math.max(
    lead.pool.record?.epoch ?? 0,
    ...lead.policy.nodes.flatMap(({ id }) => lead.pool.reports.all(id).map(({ epoch }) => epoch ?? 0)),
  );
