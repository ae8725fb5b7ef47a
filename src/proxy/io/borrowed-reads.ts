/**
 * Reads of an accepted socket into the thread's shared buffer.
 *
 *   net.connect({ onread })   fills three slots of its socket: buffer, its generator, callback
 *   an accepted socket        has the same slots, and no public way to fill them
 *
 * Without them Node makes a buffer of 64 KiB for each read, cuts it down, and passes it through a stream. So the slots are
 * found on a socket that was made with `onread`, and filled by hand; a self-test at start shows that bytes, pause, resume, another
 * buffer and the end come as they should in this version of Node. Where they don't, sockets emit `data` as ever.
 */
import { connect, createServer, type Server, Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

/** `this` is the socket. The first `length` bytes are good until it returns. Returns true. */
export type BorrowedRead = (this: Socket, length: number, bytes: Buffer) => boolean;

/** What `onread` fills. */
interface Slots {
  readonly buffer: symbol;
  readonly generator: symbol;
  readonly callback: symbol;
}

interface Handle {
  useUserBuffer(bytes: Buffer): void;
}

type Inside = Socket & Record<symbol, unknown> & { readonly _handle: Partial<Handle> | null };

const testMs = 1000;

export class BorrowedReads {
  readonly #slots: Slots;
  readonly #bytes: Buffer;
  readonly #read: BorrowedRead;

  private constructor(slots: Slots, bytes: Buffer, read: BorrowedRead) {
    this.#slots = slots;
    this.#bytes = bytes;
    this.#read = read;
  }

  /** `bytes`: what all sockets read into. null: this Node has no such slots. */
  static into(bytes: Buffer, read: BorrowedRead): BorrowedReads | null {
    const slots = findSlots();
    return slots === null ? null : new BorrowedReads(slots, bytes, read);
  }

  /** To be called when the socket has just been accepted, before it has read. False: it reads as ever. */
  begin(socket: Socket): boolean {
    const inside = socket as Inside;
    const { buffer, generator, callback } = this.#slots;
    if (typeof inside._handle?.useUserBuffer !== 'function') return false;
    inside._handle.useUserBuffer(this.#bytes);
    inside[buffer] = this.#bytes;
    inside[generator] = null;
    inside[callback] = this.#read;
    return true;
  }

  /** What the socket reads into from the next read on is asked for after each read; null: what it has now, for good. */
  nextInto(socket: Socket, next: (() => Buffer) | null): void {
    (socket as Inside)[this.#slots.generator] = next;
  }
}

function findSlots(): Slots | null {
  const bytes = Buffer.alloc(1);
  const callback = (): boolean => true;
  const probe = new Socket({ onread: { buffer: bytes, callback } } as ConstructorParameters<typeof Socket>[0]);
  const inside = probe as Inside;
  const named = (name: string, value: unknown): symbol | undefined =>
    Object.getOwnPropertySymbols(probe).find((symbol) => symbol.description === name && inside[symbol] === value);
  const slots = {
    buffer: named('kBuffer', bytes),
    generator: named('kBufferGen', null),
    callback: named('kBufferCb', callback),
  };
  probe.destroy();
  return slots.buffer && slots.generator && slots.callback ? (slots as Slots) : null;
}

/** Whether borrowed reads work in this version of Node: tried on a real connection. Never throws. */
export function borrowedReadsWork(over: 'tcp' | 'tls'): Promise<boolean> {
  return new Promise((resolve) => {
    let server: Server | null = null;
    let sender: Socket | null = null;
    const end = (works: boolean): void => {
      clearTimeout(timer);
      server?.close();
      sender?.destroy();
      resolve(works);
    };
    const timer = setTimeout(() => end(false), testMs);
    try {
      server = over === 'tcp' ? createServer({ allowHalfOpen: true }) : createTlsServer(preShared);
      server.on(over === 'tcp' ? 'connection' : 'secureConnection', (socket: Socket) => receive(socket, end));
      server.on('error', () => end(false));
      server.on('tlsClientError', () => end(false));
      server.listen(0, '127.0.0.1', () => {
        const address = server!.address();
        if (address === null || typeof address === 'string') return end(false);
        const to = { port: address.port, host: '127.0.0.1' };
        sender =
          over === 'tcp' ? connect(to) : connectTls({ ...preShared, ...to, checkServerIdentity: () => undefined });
        sender.on('error', () => end(false));
        sender.on('data', (bytes) => answer(sender!, bytes));
        sender.write('one ');
      });
    } catch {
      end(false);
    }
  });
}

/** TLS of two ends that know each other, for which no certificate is needed. */
const secret = { psk: Buffer.alloc(32, 1), identity: 'test' };
const preShared = {
  ciphers: 'TLS_AES_128_GCM_SHA256:PSK',
  // A server wants the secret alone; a client asks without a name.
  pskCallback: (_: unknown, identity?: string) => (identity === undefined ? secret : secret.psk) as never,
};

/** The sending side: after the first answer comes the second word, then the end. */
function answer(sender: Socket, bytes: Buffer): void {
  if (bytes.toString('latin1') === '1') sender.end('two');
}

/** The accepted side: two words, the second after a pause and into another buffer, then the end; no 'data'. */
function receive(socket: Socket, end: (works: boolean) => void): void {
  const [first, second] = [Buffer.alloc(64), Buffer.alloc(64)];
  let text = '';
  let paused = false;
  const reads = BorrowedReads.into(first, function (length, read) {
    const expected = text === '' ? first : second;
    text += read === expected && this === socket && !paused ? read.latin1Slice(0, length) : '?';
    if (text !== 'one ') return true;
    reads?.nextInto(this, () => second);
    paused = true;
    this.pause();
    this.write('1');
    setTimeout(() => {
      paused = false;
      this.resume();
    }, 5);
    return true;
  });
  const finish = (works: boolean): void => {
    socket.destroy();
    end(works);
  };
  socket.on('error', () => finish(false));
  if (reads === null || !reads.begin(socket)) return finish(false);
  socket.on('end', () => finish(text === 'one two'));
}
