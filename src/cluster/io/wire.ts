/** What the parts of the transport share: who is on the other side, limits, counts, and where drops are reported. */
import type { Bytes, MemberId, Millis } from '../../base/ids.ts';
import { type ClusterTag, type DropReason, dropReasons } from '../frames/header.ts';
import { type OutboxLimits, outboxLimits } from '../frames/outbox.ts';
import { messageMax } from '../frames/record.ts';
import type { Dropped } from './datagrams.ts';
import type { HandshakeOptions } from './handshake.ts';

/** A member that proved that it has the key. `cluster` is the tag that it showed; `noCluster` if it has none yet. */
export interface Peer {
  readonly id: MemberId;
  readonly boot: number;
  readonly cluster: ClusterTag;
  /** Where it came from. For a connection that it dialled this is not where it listens. */
  readonly remote: string;
}

export interface TransportLimits {
  /** Connections that have proved nothing yet: in all, and from one address. */
  readonly strangers: number;
  readonly strangersPerAddress: number;
  /** Proven connections in all, and of one member. */
  readonly guests: number;
  readonly guestsPerMember: number;
  /** From accept to proof. */
  readonly handshakeMs: Millis;
  /** From dialling to proof. */
  readonly dialMs: Millis;
  /** A peer that does not answer a ping for so long is gone. */
  readonly pongMs: Millis;
  /** A connection that nobody used for so long is closed. */
  readonly idleMs: Millis;
  /** Requests of one connection that are being answered. */
  readonly requests: number;
  readonly message: Bytes;
  readonly outbox: OutboxLimits;
}

export const transportLimits: TransportLimits = {
  strangers: 128,
  strangersPerAddress: 16,
  guests: 4096,
  guestsPerMember: 4,
  handshakeMs: 2000,
  dialMs: 2000,
  pongMs: 5000,
  idleMs: 60_000,
  requests: 1024,
  message: messageMax,
  outbox: outboxLimits,
};

/** Bytes in and out: datagrams, and connections as of now. */
export interface Traffic {
  readonly datagrams: { readonly in: Bytes; readonly out: Bytes };
  readonly connections: { readonly in: Bytes; readonly out: Bytes };
}

export interface TransportCounts {
  readonly dropped: Record<DropReason, number>;
  datagramsIn: number;
  datagramsOut: number;
  /** All bytes: of datagrams, and of connections that have ended. */
  bytesIn: number;
  bytesOut: number;
  datagramBytesIn: number;
  datagramBytesOut: number;
  /** Messages and datagrams that were not sent: peer not reachable, or its queue full. */
  unsent: number;
  dials: number;
  dialsFailed: number;
}

export function emptyCounts(): TransportCounts {
  const dropped = Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Record<DropReason, number>;
  const datagrams = { datagramsIn: 0, datagramsOut: 0, datagramBytesIn: 0, datagramBytesOut: 0 };
  return { dropped, ...datagrams, bytesIn: 0, bytesOut: 0, unsent: 0, dials: 0, dialsFailed: 0 };
}

/** What connections need of the transport that they belong to. */
export interface Wire {
  readonly limits: TransportLimits;
  readonly counts: TransportCounts;
  /** As of now: keys and cluster may change. */
  identity(): HandshakeOptions;
  now(): Millis;
  /** Counts a drop, reports it, and tells of authentic frames of another cluster. */
  dropped(remote: string, dropped: Dropped): void;
  problem(remote: string, what: string): void;
}
