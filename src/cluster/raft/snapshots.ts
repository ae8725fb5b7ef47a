/**
 * Snapshots: taking one of our own, sending one in pieces, putting one together.
 *
 * A piece is sent when the one before is answered, and again when nothing came back for two heartbeats. The receiver
 * says which byte it wants next; that the whole is on disk it says as for entries, with an appendReply. Its log is
 * replaced as a whole, unless it already has the snapshot's last entry: then the log stays, and only the commit index
 * moves (Raft 7, step 6).
 */
import type { Core } from './core.ts';
import { advanceTo, noteLeft } from './following.ts';
import type { SnapshotPiece, SnapshotReply } from './messages.ts';
import { entrySize, type Index, type MemberId, members, type Snapshot } from './model.ts';
import type { Progress } from './progress.ts';
import type { FollowerRole, LeaderRole } from './role-state.ts';

/** The replica's state at `index`. One that is older than ours, or not applied yet, is passed over. */
export function tookSnapshot(core: Core, index: Index, data: Uint8Array): void {
  const term = core.log.term(index);
  if (index <= core.snapshot.index || index > core.applied || term === null) return;
  const config = core.configs.at(index);
  // A newcomer does not know who voted before the entry that took it in: it can't vouch for a snapshot of then.
  if (config.voters.length === 0) return;
  core.snapshot = { index, term, config, data };
  core.snapshotDirty = true;
  core.log.compactTo(keptAfter(core, index));
  core.configs.compactTo(core.log.firstIndex - 1);
}

/** The entries behind this one, up to `index`, are as many as are kept. */
function keptAfter({ log, settings }: Core, index: Index): Index {
  const least = Math.max(log.firstIndex - 1, index - settings.keepEntries);
  let bytes = 0;
  for (let at = index; at > least; at--) {
    bytes += entrySize(log.entry(at)!);
    if (bytes > settings.keepBytes) return at;
  }
  return least;
}

export function sendPiece(core: Core, to: MemberId, peer: Progress): void {
  const { sending } = peer;
  if (sending.at !== 'snapshot') return;
  const { data, ...meta } = sending.snapshot;
  const piece = data.subarray(sending.offset, sending.offset + core.settings.snapshotPieceBytes);
  sending.sentAt = core.now;
  core.send({ kind: 'snapshot', to, meta, size: data.byteLength, offset: sending.offset, piece });
}

/** With each heartbeat: what was not answered is sent again; a newer snapshot takes the place of one not begun. */
export function resendPieces(core: Core, leader: LeaderRole): void {
  const lost = core.now - 2 * core.settings.heartbeatMs;
  for (const [id, peer] of leader.peers) {
    const { sending } = peer;
    if (sending.at !== 'snapshot' || sending.sentAt > lost) continue;
    if (sending.offset === 0 && sending.snapshot.index < core.snapshot.index)
      peer.becomeSnapshot(core.snapshot, core.now);
    sendPiece(core, id, peer);
  }
}

export function onSnapshotReply(core: Core, leader: LeaderRole, message: SnapshotReply): void {
  const peer = leader.peers.get(message.from);
  if (peer === undefined) return core.refuse(message.from, 'unknown-member');
  peer.heardAt = core.now;
  const { sending } = peer;
  if (sending.at !== 'snapshot' || sending.snapshot.index !== message.index) return;
  if (message.wanted > sending.snapshot.data.byteLength) return core.refuse(message.from, 'malformed');
  // An answer to a piece that was sent twice; the newer one is under way.
  if (message.wanted === sending.offset) return;
  sending.offset = message.wanted;
  if (message.wanted < sending.snapshot.data.byteLength) sendPiece(core, message.from, peer);
  else sending.sentAt = core.now;
}

export function onPiece(core: Core, role: FollowerRole, message: SnapshotPiece): void {
  const { meta, size, offset, piece, from } = message;
  if (size > core.settings.maxSnapshotBytes) return core.refuse(from, 'too-large');
  if (meta.index <= core.commit || core.log.has(meta.index, meta.term)) {
    advanceTo(core, meta.index);
    // What is committed here is equal in every leader's log.
    role.verified = Math.max(role.verified, core.commit);
    role.ackDue = true;
    core.incoming = null;
    return;
  }
  const incoming = incomingFor(core, message);
  if (offset === incoming.got && (piece.byteLength > 0 || size === 0)) {
    incoming.pieces.push(piece);
    incoming.got += piece.byteLength;
  }
  core.lastAckAt = core.now;
  core.send({ kind: 'snapshotReply', to: from, index: meta.index, wanted: incoming.got });
  if (incoming.got === size) install(core, role, { ...meta, data: joined(incoming.pieces, size) });
}

function incomingFor(core: Core, { from, term, meta, size }: SnapshotPiece): NonNullable<Core['incoming']> {
  const { incoming } = core;
  const same = incoming?.from === from && incoming.term === term && incoming.index === meta.index;
  if (incoming !== null && same && incoming.size === size) return incoming;
  core.incoming = { from, term, index: meta.index, size, pieces: [], got: 0 };
  return core.incoming;
}

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.byteLength;
  }
  return whole;
}

function install(core: Core, role: FollowerRole, snapshot: Snapshot): void {
  const before = members(core.config);
  core.incoming = null;
  core.log.reset(snapshot);
  core.disk.truncated(1);
  core.configs.reset(snapshot);
  noteLeft(core, before);
  core.snapshot = snapshot;
  core.snapshotDirty = true;
  core.commit = snapshot.index;
  core.installing = { ticket: core.ticketOfNow(), snapshot };
  role.verified = snapshot.index;
  role.ackDue = true;
}

/** A snapshot that came is handed out once it is on disk. */
export function finishInstall(core: Core): void {
  const { installing } = core;
  if (installing === null || !core.onDisk(installing.ticket)) return;
  core.installing = null;
  core.out.snapshot = installing.snapshot;
  core.out.entries = [];
  core.applied = installing.snapshot.index;
  core.event({ kind: 'snapshot-installed', index: core.applied });
}
