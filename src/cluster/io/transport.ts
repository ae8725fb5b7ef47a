/**
 * How members reach each other: UDP datagrams and kept TCP connections on one port, all sealed.
 *
 *   datagram(to, bytes)            may be lost; at most 1400 bytes                      -> onDatagram
 *   send(to, kind, bytes)          may be lost when the peer is away or slow            -> onMessage
 *   request(to, kind, bytes)       answered once, or a RequestError that says whether it was sent  -> onRequest
 *
 * `to` is `host:port` of the peer's own listening address. `kind` (0 to 255) says to the rooms above what the bytes are.
 * What arrives comes with the sender's uid and boot as proved by its seal. Every holder of the key can pose as every
 * member: the key admits to the cluster, it does not tell members apart.
 */
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Server } from 'node:net';
import type { MemberId, Millis } from '../../base/ids.ts';
import { type Random, seededRandom } from '../../base/random.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { formatHostPort, isLoopback, parseHostPort } from '../frames/address.ts';
import { datagramPayloadMax } from '../frames/header.ts';
import { Reporter } from '../frames/reporter.ts';
import { DatagramOpener, DatagramSealer, type Dropped, firstCounter, type Self, sameCluster } from './datagrams.ts';
import { Door, type Guests } from './door.ts';
import type { HandshakeOptions } from './handshake.ts';
import { clusterTag, Keyring } from './keyring.ts';
import { Link } from './link.ts';
import { Names } from './names.ts';
import { bindBoth, type Sockets, whyNot, withoutKey } from './sockets.ts';
import {
  emptyCounts,
  type Peer,
  type Traffic,
  type TransportCounts,
  type TransportLimits,
  transportLimits,
  type Wire,
} from './wire.ts';

export interface TransportOptions extends Guests {
  /** `host:port` to bind; port 0 chooses one. */
  readonly listen: string;
  readonly self: Self;
  /** Secrets of the cluster (parseClusterKeys), the sealing one first. None: only loopback can be bound. */
  readonly keys: readonly Uint8Array[];
  /** The cluster's id; empty while there is none. */
  readonly cluster: string;
  /** Highest boot of each peer that was heard in earlier runs: older ones' datagrams are dropped. */
  readonly boots?: ReadonlyMap<MemberId, number>;
  onDatagram(from: Peer, bytes: Uint8Array): void;
  /** An authentic frame of another cluster came. */
  onForeign?(peer: Peer): void;
  /** One line for the log, at most one per peer, reason and minute. */
  onProblem?(line: string): void;
  readonly limits?: Partial<TransportLimits>;
  /** Monotonic milliseconds. */
  readonly now?: () => Millis;
  readonly random?: Random;
}

export interface PeerLink {
  readonly address: string;
  readonly state: Link['state'];
  readonly peer: Peer | null;
  /** Messages that wait to be sent there. */
  readonly waiting: number;
}

export class ClusterTransport {
  readonly counts: TransportCounts = emptyCounts();
  /** Where it listens. */
  readonly address: string;
  readonly #options: TransportOptions;
  readonly #server: Server;
  readonly #udp: UdpSocket;
  readonly #door: Door;
  readonly #names: Names;
  readonly #opener: DatagramOpener;
  readonly #links = new Map<string, Link>();
  readonly #reporter = new Reporter();
  readonly #wire: Wire;
  readonly #random: Random;
  readonly #timer: NodeJS.Timeout;
  #identity: HandshakeOptions;
  #sealer: DatagramSealer;
  #closed = false;

  /** Use `openTransport`. */
  constructor(options: TransportOptions, sockets: Sockets, keys: Keyring) {
    this.#options = options;
    this.#server = sockets.server;
    this.#udp = sockets.udp;
    this.address = sockets.address;
    const now = options.now ?? (() => performance.now());
    this.#random = options.random ?? seededRandom(Date.now() ^ process.pid);
    this.#names = new Names(sockets.family, now);
    this.#identity = { keys, self: options.self, cluster: clusterTag(options.cluster) };
    this.#sealer = new DatagramSealer({ ...this.#identity, counter: firstCounter(Date.now()) });
    this.#opener = new DatagramOpener({ ...this.#identity, ...(options.boots && { boots: options.boots }) });
    this.#wire = {
      limits: { ...transportLimits, ...options.limits },
      counts: this.counts,
      identity: () => this.#identity,
      now,
      dropped: (remote, dropped) => this.#dropped(remote, dropped),
      problem: (remote, what) => this.#problem(remote, what),
    };
    this.#door = new Door(this.#server, this.#wire, options);
    this.#udp.on('message', (frame, info) => this.#receive(frame, info));
    this.#udp.on('error', (error) => this.#problem(this.address, `UDP socket: ${error.message}`));
    this.#server.on('error', (error) => this.#problem(this.address, `TCP socket: ${error.message}`));
    this.#timer = setInterval(() => this.#tick(now()), Math.min(1000, this.#wire.limits.pongMs / 2)).unref();
  }

  /**
   * false: it was dropped at once. true promises nothing. `droppable` (default true): it goes first when too much waits;
   * what is not is itself refused then, if nothing else can go.
   */
  send(to: string, kind: number, bytes: Uint8Array, options?: { readonly droppable: boolean }): boolean {
    return !this.#closed && this.#link(to).send(kind, bytes, options?.droppable ?? true);
  }

  /** Rejects with a RequestError. */
  request(to: string, kind: number, bytes: Uint8Array, options: { readonly timeoutMs: Millis }): Promise<Uint8Array> {
    return this.#link(to).request(kind, bytes, options.timeoutMs);
  }

  #link(to: string): Link {
    const known = this.#links.get(to);
    if (known !== undefined) return known;
    const link = new Link(to, this.#wire, this.#random);
    if (this.#closed) link.close();
    else this.#links.set(to, link);
    return link;
  }

  /** false: larger than `datagramPayloadMax`, or no address to send to. true promises nothing. */
  datagram(to: string, bytes: Uint8Array): boolean {
    const target = parseHostPort(to);
    // A datagram may say that it comes from port 0, where nobody can be answered: the socket would throw.
    if (this.#closed || target === null || target.port === 0 || bytes.byteLength > datagramPayloadMax) {
      this.counts.unsent += 1;
      return false;
    }
    const ip = this.#names.resolve(target.host);
    if (typeof ip === 'string') this.#transmit(ip, target.port, bytes);
    else void ip.then((found) => this.#transmit(found, target.port, bytes));
    return true;
  }

  #transmit(ip: string | null, port: number, bytes: Uint8Array): void {
    if (this.#closed) return;
    const frame = ip === null ? null : this.#sealer.seal(bytes);
    if (frame === null || ip === null) {
      this.counts.unsent += 1;
      return;
    }
    this.#udp.send(frame, port, ip, (error) => {
      if (error !== null) this.counts.unsent += 1;
    });
    this.counts.datagramsOut += 1;
    this.counts.bytesOut += frame.byteLength;
    this.counts.datagramBytesOut += frame.byteLength;
  }

  #receive(frame: Buffer, info: RemoteInfo): void {
    const remote = formatHostPort(info.address, info.port);
    this.counts.datagramsIn += 1;
    this.counts.bytesIn += frame.byteLength;
    this.counts.datagramBytesIn += frame.byteLength;
    const opened = this.#opener.open(frame);
    if (!opened.ok) return this.#dropped(remote, opened.error);
    const { sender, boot, cluster, payload } = opened.value;
    this.#options.onDatagram({ id: sender, boot, cluster, remote }, payload);
  }

  #dropped(remote: string, { reason, sender, cluster }: Dropped): void {
    this.counts.dropped[reason] += 1;
    this.#problem(remote, describe[reason]);
    if (reason !== 'cluster' || sender === undefined || cluster === undefined) return;
    this.#options.onForeign?.({ id: sender, boot: 0, cluster, remote });
  }

  #problem(remote: string, what: string): void {
    const line = this.#reporter.note(this.#wire.now(), remote, what);
    if (line !== null) this.#options.onProblem?.(line);
  }

  #tick(now: Millis): void {
    this.#door.tick(now);
    for (const [address, link] of this.#links) {
      link.tick(now);
      if (link.idleSince(now) < this.#wire.limits.idleMs) continue;
      link.close();
      this.#links.delete(address);
    }
  }

  /** Other keys, the sealing one first. Connections under a key that is gone end. */
  useKeys(secrets: readonly Uint8Array[]): void {
    const keys = new Keyring(secrets);
    if (keys.open && !this.#identity.keys.open) throw new Error('the last cluster key cannot be taken away: keep one');
    this.#reidentify({ ...this.#identity, keys });
    this.#endIf((stream) => keys.find(stream.keyId) === null);
  }

  /** The cluster was formed or joined. Connections are dialled again, so that peers see the new id; those of others end. */
  useCluster(cluster: string): void {
    const tag = clusterTag(cluster);
    if (tag === this.#identity.cluster) return;
    this.#reidentify({ ...this.#identity, cluster: tag });
    this.#door.endIf((stream) => !sameCluster(stream.peer.cluster, tag));
    for (const link of this.#links.values()) link.endIf(() => true);
  }

  #reidentify(identity: HandshakeOptions): void {
    this.#identity = identity;
    this.#sealer = new DatagramSealer({ ...identity, counter: this.#sealer.counter });
    this.#opener.use(identity.keys, identity.cluster);
  }

  #endIf(ends: Parameters<Door['endIf']>[0]): void {
    this.#door.endIf(ends);
    for (const link of this.#links.values()) link.endIf(ends);
  }

  /** Of the keys in use, the sealing one first. */
  get keyIds(): readonly number[] {
    return this.#identity.keys.keys.map(({ id }) => id);
  }

  traffic(): Traffic {
    const { datagramBytesIn, datagramBytesOut, bytesIn, bytesOut } = this.counts;
    const connections = { in: bytesIn - datagramBytesIn, out: bytesOut - datagramBytesOut };
    const open = [this.#door.traffic, ...[...this.#links.values()].map((link) => link.traffic)];
    for (const one of open) {
      connections.in += one.in;
      connections.out += one.out;
    }
    return { datagrams: { in: datagramBytesIn, out: datagramBytesOut }, connections };
  }

  /** Connections that we dialled or want to. */
  peers(): readonly PeerLink[] {
    return [...this.#links.values()].map(({ address, state, peer, waiting }) => ({ address, state, peer, waiting }));
  }

  /** Members whose connections came in and are open. */
  guests(): readonly Peer[] {
    return this.#door.guests;
  }

  /** Connections that have not proved anything yet. */
  get strangers(): number {
    return this.#door.strangers;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    for (const link of this.#links.values()) link.close();
    const closed = Promise.all([
      new Promise<void>((resolve) => this.#server.close(() => resolve())),
      new Promise<void>((resolve) => this.#udp.close(() => resolve())),
    ]);
    this.#door.close();
    await closed;
  }
}

const describe: Readonly<Record<Dropped['reason'], string>> = {
  truncated: 'dropped a frame that is too short',
  oversized: 'dropped a frame that is too long',
  version: 'dropped a frame of another version of the protocol: upgrade one release at a time',
  malformed: 'dropped what is no frame of a member',
  key: 'dropped a frame sealed with a key that is not ours: compare cluster.key of both',
  forged: 'dropped a frame whose seal is broken',
  cluster: 'dropped a frame of another cluster: a member with state of a former cluster, or two clusters with one key',
  replayed: 'dropped a frame that was received before',
  boot: 'dropped a frame of an earlier run of its sender',
  reflected: 'dropped a frame of our own that came back: an address of ours among the peers, or a copied data folder',
  'handshake-timeout': 'closed a connection that did not prove the key in time',
  limit: 'closed a connection: too many',
  protocol: 'closed a connection that broke the rules of the protocol',
};

/** Binds and begins to listen. The error says what to do. */
export async function openTransport(options: TransportOptions): Promise<Result<ClusterTransport, string>> {
  const target = parseHostPort(options.listen);
  if (target === null) return err(`cluster address '${options.listen}' is not host:port, such as 10.0.0.1:7946`);
  const keys = new Keyring(options.keys);
  try {
    const { address: ip } = await lookup(target.host);
    if (keys.open && !isLoopback(ip)) return err(withoutKey(options.listen));
    const bound = await bindBoth(ip, target.port);
    return ok(new ClusterTransport(options, bound, keys));
  } catch (error) {
    return err(`cannot listen on ${options.listen} for the cluster: ${whyNot(error)}`);
  }
}
