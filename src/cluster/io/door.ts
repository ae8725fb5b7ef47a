/**
 * Where peers' connections come in. Until a connection has proved the key it is a stranger: it may cost 96 + 36 bytes
 * of memory, two seconds and one answer no longer than its question, and there are never more than a few of them.
 *
 *   accept --limits--> hello --good--> welcome sent --proof--> guest
 *             `---------- anything else, or time over: closed without a word, counted
 */
import type { Server, Socket } from 'node:net';
import { formatHostPort } from '../frames/address.ts';
import { greetingBytes, proofBytes } from '../frames/header.ts';
import { Outbox, type Outgoing } from '../frames/outbox.ts';
import type { Whole } from '../frames/record.ts';
import { outdated, type Session, type Welcoming, welcomeTo } from './handshake.ts';
import { answerLimits, SealedStream } from './stream.ts';
import type { Peer, Wire } from './wire.ts';

export interface Guests {
  onMessage(from: Peer, kind: number, bytes: Uint8Array): void;
  /** What it throws goes to the peer as a refusal, by its message. */
  onRequest(from: Peer, kind: number, bytes: Uint8Array): Promise<Uint8Array> | Uint8Array;
}

interface Guest {
  readonly peer: Peer;
  readonly stream: SealedStream;
  readonly outbox: Outbox;
  requests: number;
  usedAt: number;
}

export class Door {
  readonly #wire: Wire;
  readonly #guests: Guests;
  readonly #inside = new Set<Guest>();
  /** Connections that have proved nothing, by address. */
  readonly #strangers = new Map<Socket, string>();

  constructor(server: Server, wire: Wire, guests: Guests) {
    this.#wire = wire;
    this.#guests = guests;
    server.on('connection', (socket: Socket) => this.#knock(socket));
  }

  get strangers(): number {
    return this.#strangers.size;
  }

  /** Bytes of the connections that are open now. */
  get traffic(): { readonly in: number; readonly out: number } {
    const sum = { in: 0, out: 0 };
    for (const { stream } of this.#inside) {
      sum.in += stream.bytesIn;
      sum.out += stream.bytesOut;
    }
    return sum;
  }

  get guests(): readonly Peer[] {
    return [...this.#inside].map((guest) => guest.peer);
  }

  #knock(socket: Socket): void {
    const ip = socket.remoteAddress ?? '';
    const remote = formatHostPort(ip, socket.remotePort ?? 0);
    socket.on('error', () => socket.destroy());
    const { strangers, strangersPerAddress, guests, handshakeMs } = this.#wire.limits;
    const sameAddress = [...this.#strangers.values()].filter((other) => other === ip).length;
    if (this.#strangers.size >= strangers || sameAddress >= strangersPerAddress || this.#inside.size >= guests) {
      this.#wire.dropped(remote, { reason: 'limit' });
      socket.destroy();
      return;
    }
    this.#strangers.set(socket, ip);
    const timer = setTimeout(() => {
      this.#wire.dropped(remote, { reason: 'handshake-timeout' });
      socket.destroy();
    }, handshakeMs);
    socket.on('close', () => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
    });
    this.#listen(socket, remote, (session, rest) => {
      clearTimeout(timer);
      this.#strangers.delete(socket);
      this.#admit(socket, { session, remote, rest });
    });
  }

  #listen(socket: Socket, remote: string, proved: (session: Session, rest: Buffer) => void): void {
    let heard = Buffer.alloc(0);
    let welcoming: Welcoming | null = null;
    const refuse = (dropped: Parameters<Wire['dropped']>[1]): void => {
      this.#wire.dropped(remote, dropped);
      socket.destroy();
    };
    const read = (chunk: Buffer): void => {
      heard = Buffer.concat([heard, chunk]);
      if (welcoming === null) {
        if (heard.byteLength < greetingBytes) return;
        // Nobody can know the proof before the welcome.
        if (heard.byteLength > greetingBytes) return refuse({ reason: 'malformed' });
        const result = welcomeTo(heard, this.#wire.identity());
        if (!result.ok) return refuse(result.error);
        welcoming = result.value;
        heard = Buffer.alloc(0);
        socket.write(welcoming.welcome);
        return;
      }
      if (heard.byteLength < proofBytes) return;
      const result = welcoming.proved(heard.subarray(0, proofBytes));
      if (!result.ok) return refuse(result.error);
      const late = outdated(result.value, this.#wire.identity());
      if (late !== null) return refuse(late);
      socket.off('data', read);
      proved(result.value, heard.subarray(proofBytes));
    };
    socket.on('data', read);
  }

  #admit(socket: Socket, hello: { readonly session: Session; readonly remote: string; readonly rest: Buffer }): void {
    const { sender, boot, cluster } = hello.session.peer;
    socket.setNoDelay(true);
    const outbox = new Outbox(answerLimits);
    const stream: SealedStream = new SealedStream({
      socket,
      session: hello.session,
      outbox,
      messageMax: this.#wire.limits.message,
      onMessage: (message) => this.#heard(guest, message),
      onSending: () => {},
      onEnd: (reason) => {
        this.#inside.delete(guest);
        this.#wire.counts.bytesIn += stream.bytesIn;
        this.#wire.counts.bytesOut += stream.bytesOut;
        if (reason !== null) this.#wire.dropped(hello.remote, { reason, sender });
      },
    });
    const peer: Peer = { id: sender, boot, cluster, remote: hello.remote };
    const guest: Guest = { peer, stream, outbox, requests: 0, usedAt: this.#wire.now() };
    this.#inside.add(guest);
    const same = [...this.#inside].filter((other) => other.peer.id === sender);
    if (same.length > this.#wire.limits.guestsPerMember) same[0]!.stream.end(null);
    stream.read(hello.rest);
  }

  #heard(guest: Guest, message: Whole): void {
    guest.usedAt = this.#wire.now();
    if (message.form === 'ping') this.#say(guest, { form: 'pong', kind: 0, number: 0, bytes: new Uint8Array(0) });
    else if (message.form === 'message') this.#guests.onMessage(guest.peer, message.kind, message.bytes);
    else if (message.form === 'request') void this.#answer(guest, message);
    else guest.stream.end('protocol');
  }

  async #answer(guest: Guest, { kind, number, bytes }: Whole): Promise<void> {
    const refuse = (why: string): void =>
      this.#say(guest, { form: 'refusal', kind, number, bytes: Buffer.from(why.slice(0, 200)) });
    if (guest.requests >= this.#wire.limits.requests) return refuse('too many requests are being answered');
    guest.requests += 1;
    try {
      const answer = await this.#guests.onRequest(guest.peer, kind, bytes);
      this.#say(guest, { form: 'answer', kind, number, bytes: answer });
    } catch (error) {
      refuse(error instanceof Error ? error.message : String(error));
    } finally {
      guest.requests -= 1;
    }
  }

  #say(guest: Guest, message: Omit<Outgoing, 'droppable'>): void {
    if (guest.stream.ended) return;
    const dropped = guest.outbox.push({ ...message, droppable: false });
    // It asks and does not read.
    if (dropped.length > 0) return guest.stream.end('limit');
    guest.stream.pump();
  }

  tick(now: number): void {
    for (const guest of this.#inside) if (now - guest.usedAt > 2 * this.#wire.limits.idleMs) guest.stream.end(null);
  }

  endIf(ends: (stream: SealedStream) => boolean): void {
    for (const guest of [...this.#inside]) if (ends(guest.stream)) guest.stream.end(null);
  }

  close(): void {
    for (const socket of this.#strangers.keys()) socket.destroy();
    this.endIf(() => true);
  }
}
