/**
 * Is a message what its types say, and possible at all? A codec checks types; this checks numbers and shapes, so that
 * nothing behind it works on an index of -1 or on entries with a gap. What fails is dropped and counted; never asserted.
 */
import type { Append, RaftMessage, SnapshotPiece } from './messages.ts';
import type { Config, Entry } from './model.ts';

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const isSpan = (value: number): boolean => Number.isFinite(value) && value >= 0;

export function isWellFormed(message: RaftMessage): boolean {
  return isCount(message.term) && isCount(message.boot) && hasGoodBody(message);
}

function hasGoodBody(message: RaftMessage): boolean {
  switch (message.kind) {
    case 'preVote':
      return isCount(message.next) && isCount(message.lastIndex) && isCount(message.lastTerm);
    case 'preVoteReply':
      return isCount(message.next);
    case 'vote':
    case 'stand':
      return message.term > 0 && isCount(message.lastIndex) && isCount(message.lastTerm);
    case 'voteReply':
      return isSpan(message.age);
    case 'append':
      return isGoodAppend(message);
    case 'appendReply':
      return isCount(message.applied) && isGoodResult(message.result);
    case 'heartbeat':
      return message.term > 0 && isCount(message.round) && isCount(message.commit) && isGoodGrant(message.grant);
    case 'heartbeatReply':
      return isCount(message.round) && isCount(message.applied) && Number.isFinite(message.askedAt);
    case 'snapshot':
      return isGoodPiece(message);
    case 'snapshotReply':
      return isCount(message.index) && isCount(message.wanted);
    case 'readIndex':
      return isCount(message.id);
    case 'readIndexReply':
      return isCount(message.id) && (message.index === null || isCount(message.index));
  }
}

function isGoodAppend({ term, prevIndex, prevTerm, entries, commit }: Append): boolean {
  if (term === 0 || !isCount(prevIndex) || !isCount(prevTerm) || !isCount(commit)) return false;
  let index = prevIndex;
  let last = prevTerm;
  for (const entry of entries) {
    if (entry.index !== index + 1 || !isCount(entry.term) || entry.term < last || entry.term > term) return false;
    if (!isGoodEntry(entry)) return false;
    index = entry.index;
    last = entry.term;
  }
  return true;
}

const isGoodEntry = (entry: Entry): boolean =>
  entry.kind === 'noop' || (entry.kind === 'data' ? entry.data.byteLength >= 0 : isGoodConfig(entry.config));

function isGoodConfig({ voters, learners }: Config): boolean {
  return voters.length > 0 && new Set([...voters, ...learners]).size === voters.length + learners.length;
}

function isGoodResult(result: Extract<RaftMessage, { kind: 'appendReply' }>['result']): boolean {
  if (result.ok) return isCount(result.match);
  return isCount(result.rejected) && isCount(result.hintIndex) && isCount(result.hintTerm);
}

function isGoodGrant(grant: Extract<RaftMessage, { kind: 'heartbeat' }>['grant']): boolean {
  return grant === null || (Number.isFinite(grant.askedAt) && isCount(grant.boot) && isCount(grant.index));
}

function isGoodPiece({ term, meta, size, offset, piece }: SnapshotPiece): boolean {
  if (term === 0 || !isCount(meta.index) || !isCount(meta.term) || meta.term > term) return false;
  return isGoodConfig(meta.config) && isCount(size) && isCount(offset) && offset + piece.byteLength <= size;
}
