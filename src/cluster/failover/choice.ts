/**
 * The choice of a new primary (6.1): healthy, not excluded, near enough; then the highest epoch and position; then
 * priority; then id. Pure, and it says why of each.
 *
 * Evenkeel moves no data: whether a node *has* what was acknowledged is a matter of the nodes' replication, and all that
 * can be known of it is the position that they report. Where they report none, health and priority decide.
 */
import type { PolicyNode, PoolPolicy } from './model.ts';

export interface Candidate {
  readonly node: PolicyNode;
  readonly up: boolean;
  /** Why it can't be taken, whatever its health; null: it can. */
  readonly barred: string | null;
  readonly epoch: number | null;
  readonly position: number | null;
}

export interface Choice {
  readonly winner: Candidate | null;
  readonly why: string;
  readonly others: readonly { readonly node: string; readonly why: string }[];
}

/** Why a node is not taken whose url is another in most files, whoever wants it. */
export const elsewhere = 'most members have not said that they have it at the same url';

/** The only reason that is over when a failover is tried once more. */
export const tried = 'was tried and failed';

/** `reference`: the highest position that must not be lost; null: none is known. `loss`: what an operator gives up. */
export interface Bounds {
  readonly reference: number | null;
  readonly loss: number;
}

/** Why a candidate is out; null if it is in the choice. */
export function unfit(candidate: Candidate, policy: PoolPolicy, { reference, loss }: Bounds): string | null {
  if (candidate.barred !== null) return candidate.barred;
  if (!candidate.up) return 'not healthy';
  if (reference === null || policy.maxLag === null) return null;
  if (candidate.position === null) return `its position is not known, and ${reference} must not be lost`;
  const behind = reference - candidate.position;
  const bound = Math.max(policy.maxLag, loss);
  return behind > bound ? `${behind} positions behind, at most ${bound} allowed` : null;
}

const order = (a: Candidate, b: Candidate): number =>
  (b.epoch ?? 0) - (a.epoch ?? 0) ||
  (b.position ?? -1) - (a.position ?? -1) ||
  b.node.priority - a.node.priority ||
  (a.node.id < b.node.id ? -1 : 1);

export function choose(candidates: readonly Candidate[], policy: PoolPolicy, bounds: Bounds): Choice {
  const judged = candidates.map((candidate) => ({ candidate, why: unfit(candidate, policy, bounds) }));
  const fit = judged.filter(({ why }) => why === null).map(({ candidate }) => candidate);
  const [winner = null, ...behind] = fit.sort(order);
  const others = [
    ...behind.map((candidate) => ({ node: candidate.node.id, why: reasonAgainst(candidate, winner!) })),
    ...judged.flatMap(({ candidate, why }) => (why === null ? [] : [{ node: candidate.node.id, why }])),
  ];
  if (winner !== null)
    return { winner, others, why: behind.length === 0 ? 'the only one that is fit' : 'see the others' };
  return { winner, others, why: others.map(({ node, why }) => `${node}: ${why}`).join('; ') || 'no other node' };
}

function reasonAgainst(other: Candidate, winner: Candidate): string {
  if ((other.epoch ?? 0) !== (winner.epoch ?? 0)) return `has seen epoch ${other.epoch ?? 0} only`;
  if ((other.position ?? -1) !== (winner.position ?? -1)) return `at position ${other.position ?? 'unknown'}, behind`;
  if (other.node.priority !== winner.node.priority) return `priority ${other.node.priority} is lower`;
  return 'its id comes later';
}
