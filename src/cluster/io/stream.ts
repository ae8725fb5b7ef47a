/**
 * A connection after its handshake: messages in, messages out, each record sealed under a counter of its direction.
 *
 *   outbox --piece, seal--> socket          stops while the socket's buffer is full, goes on at 'drain'
 *   socket --length, open, assemble--> onMessage
 *
 * A record that does not open, is too long or breaks the rules ends the connection: on a reliable stream there is no
 * innocent reason for it. Nothing is read of a message that is announced as larger than the bound.
 */
import type { Socket } from 'node:net';
import type { DropReason } from '../frames/header.ts';
import { type Outbox, type Outgoing, outboxLimits } from '../frames/outbox.ts';
import { Assembler, decodePiece, encodePiece, messageMax, recordMax, type Whole } from '../frames/record.ts';
import { seal, unseal } from './gcm.ts';
import type { Session } from './handshake.ts';

const lengthBytes = 4;

export interface StreamOptions {
  readonly socket: Socket;
  readonly session: Session;
  readonly outbox: Outbox;
  /** Called in order. */
  readonly onMessage: (message: Whole) => void;
  /** A piece of this message was given to the socket: from now on the peer may have it. */
  readonly onSending: (message: Outgoing) => void;
  /** Once. null: the connection was ended by either side; else what the peer did wrong. */
  readonly onEnd: (reason: DropReason | null) => void;
  readonly messageMax?: number;
}

export class SealedStream {
  readonly #options: StreamOptions;
  readonly #assembler: Assembler;
  #sent = 0;
  #received = 0;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #wanted = lengthBytes;
  #blocked = false;
  #corked = false;
  #ended = false;
  /** Bytes of sealed records in and out. */
  bytesIn = 0;
  bytesOut = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#assembler = new Assembler(options.messageMax ?? messageMax);
    const { socket } = options;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('drain', () => {
      this.#blocked = false;
      this.pump();
    });
    socket.on('error', () => this.end(null));
    socket.on('close', () => this.end(null));
    socket.on('end', () => this.end(null));
  }

  get peer(): Session['peer'] {
    return this.#options.session.peer;
  }

  get keyId(): number {
    return this.#options.session.keyId;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The socket takes no more: the peer does not read, or the way is slow. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Writes what waits in the outbox, as far as the socket takes it. */
  pump(): void {
    const { socket, outbox, session, onSending } = this.#options;
    while (!this.#blocked && !this.#ended) {
      const next = outbox.next();
      if (next === null) return;
      const plain = encodePiece(next.piece);
      const head = new Uint8Array(lengthBytes);
      new DataView(head.buffer).setUint32(0, plain.byteLength + 16);
      const record = seal({ key: session.sealing, counter: this.#sent++, head }, plain);
      onSending(next.of);
      this.bytesOut += record.byteLength;
      this.#cork();
      if (!socket.write(record)) this.#blocked = true;
    }
  }

  /** What is written in one turn of the event loop goes out in one call of the kernel. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    const { socket } = this.#options;
    socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      socket.uncork();
    });
  }

  /** Bytes from the socket; also those that came with the handshake. */
  read(chunk: Buffer): void {
    if (this.#ended || chunk.byteLength === 0) return;
    this.bytesIn += chunk.byteLength;
    this.#chunks.push(chunk);
    this.#buffered += chunk.byteLength;
    if (this.#buffered < this.#wanted) return;
    // Joined only when a whole record is there: bytes that trickle in cost no copying.
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    while (rest.byteLength >= this.#wanted && !this.#ended) rest = this.#readRecord(rest);
    this.#chunks = [rest];
    this.#buffered = rest.byteLength;
  }

  /** What is left after one record, or all if only its length could be read. */
  #readRecord(bytes: Buffer): Buffer {
    const length = bytes.readUInt32BE(0);
    if (length > recordMax) return this.#fault('oversized', bytes);
    const end = lengthBytes + length;
    if (bytes.byteLength < end) {
      this.#wanted = end;
      return bytes;
    }
    this.#wanted = lengthBytes;
    const head = bytes.subarray(0, lengthBytes);
    const counter = this.#received++;
    const plain = unseal({ key: this.#options.session.opening, counter, head }, bytes.subarray(lengthBytes, end));
    if (plain === null) return this.#fault('forged', bytes);
    const piece = decodePiece(plain);
    const whole = piece === null ? 'protocol' : this.#assembler.add(piece);
    if (whole === 'protocol') return this.#fault('protocol', bytes);
    if (whole !== null) this.#options.onMessage(whole);
    return bytes.subarray(end);
  }

  #fault(reason: DropReason, bytes: Buffer): Buffer {
    this.end(reason);
    return bytes.subarray(bytes.byteLength);
  }

  end(reason: DropReason | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#chunks = [];
    this.#options.socket.destroy();
    this.#options.onEnd(reason);
  }
}

/** The bounds of what waits for a peer that does not read our answers: beyond it the connection is ended. */
export const answerLimits = { ...outboxLimits, smallCount: 1024, largeCount: 4 };
