/**
 * Keep-alive clients under whose eyes nothing may be lost. Each sends one request after the other over its connection
 * and opens a new one when the answer said `Connection: close`, as a browser or another proxy does. Nothing is sent
 * twice: whatever did not end in a whole, expected answer is a failure with its reason.
 */
import { connect, type Socket } from 'node:net';
import { field, finalOf, type Message, readMessages, statusOf } from './http-bytes.ts';

export interface LoadOptions {
  readonly port: number;
  readonly clients: number;
  /** The next request of a client, as bytes. Default: GET /. */
  readonly request?: () => string;
  /** A word for what is wrong with an answer, or null. Default: the status is not 200. */
  readonly judge?: (answer: Message, request: string) => string | null;
  /** A new connection that is refused ends its client without a failure, instead of being one. */
  readonly refusedEnds?: boolean;
  /** Between an answer and the client's next request, ms. */
  readonly thinkMs?: number;
}

export interface Failure {
  readonly reason: string;
  readonly atMs: number;
  /** Requests that had been answered on the same connection before. */
  readonly reused: number;
}

/** Longer than the watchdog looks on at a thread that hangs. */
const answerDeadlineMs = 60_000;
const defaultRequest = (): string => 'GET / HTTP/1.1\r\nHost: ek.test\r\n\r\n';
/** An answer that is not the one wanted: its first line, and the beginning of what it says. */
export const wordsOf = ({ start, body }: Message): string =>
  body === '' ? start : `${start}: ${body.slice(0, 120).trim()}`;

const defaultJudge = (answer: Message): string | null => (statusOf(answer) === 200 ? null : wordsOf(answer));

export class Load {
  readonly failures: Failure[] = [];
  answered = 0;
  /** Answers by their X-Node field. */
  readonly byNode = new Map<string, number>();
  /** Clients that still run. */
  running = 0;
  readonly #options: LoadOptions;
  readonly #clients: Promise<void>[];
  readonly #began = performance.now();
  #stopping = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.clients }, () => this.#client());
  }

  /** Lets every client finish the request it is at. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  /** Resolves when all clients have ended by themselves (refusedEnds). */
  async ended(): Promise<void> {
    await Promise.all(this.#clients);
  }

  /** Failures counted by reason: `{}` is what a test wants to see. */
  reasons(): Record<string, number> {
    const reasons: Record<string, number> = {};
    for (const { reason } of this.failures) reasons[reason] = (reasons[reason] ?? 0) + 1;
    return reasons;
  }

  async #client(): Promise<void> {
    this.running += 1;
    let connection: Connection | null = null;
    try {
      while (!this.#stopping) {
        // A connection that the peer has closed since is no failure: a client sees that before it sends.
        if (connection?.closing) connection = connection.drop();
        connection ??= new Connection(this.#options.port);
        const request = (this.#options.request ?? defaultRequest)();
        const result = await connection.exchange(request);
        if (result === 'refused' && this.#options.refusedEnds) return;
        if (!this.#count(result, request, connection.answered)) connection = connection.drop();
        // Whoever is refused does not knock without pause.
        if (result === 'refused') await new Promise((resolve) => setTimeout(resolve, 20));
        if (this.#options.thinkMs) await new Promise((resolve) => setTimeout(resolve, this.#options.thinkMs));
      }
    } finally {
      connection?.drop();
      this.running -= 1;
    }
  }

  #count(result: Message | string, request: string, reused: number): boolean {
    const reason = typeof result === 'string' ? result : (this.#options.judge ?? defaultJudge)(result, request);
    if (reason !== null) this.failures.push({ reason, atMs: Math.round(performance.now() - this.#began), reused });
    if (typeof result === 'string') return false;
    this.answered += 1;
    const node = field(result, 'x-node');
    if (node !== undefined) this.byNode.set(node, (this.byNode.get(node) ?? 0) + 1);
    return true;
  }
}

/** A client's connection: one request at a time. */
class Connection {
  answered = 0;
  closing = false;
  readonly #socket: Socket;
  #received = '';
  #method = 'GET';
  #settle: ((result: Message | string) => void) | null = null;
  #dead: string | null = null;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: unknown) => {
      this.#received += text as string;
      this.#look(false);
    });
    this.#socket.on('end', () => {
      this.#look(true);
      this.#die('closed');
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#die(error.code ?? error.message));
    this.#socket.on('close', () => this.#die('closed'));
  }

  /** The whole answer, or a word for what went wrong: `refused`, `ECONNRESET before the answer`, ... */
  exchange(request: string): Promise<Message | string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle('no answer in time'), answerDeadlineMs);
      const settle = (result: Message | string): void => {
        clearTimeout(timer);
        this.#settle = null;
        resolve(result);
      };
      this.#settle = settle;
      this.#received = '';
      this.#method = request.slice(0, request.indexOf(' '));
      if (this.#dead !== null) this.#fail();
      else this.#socket.write(request, 'latin1');
    });
  }

  drop(): null {
    this.#socket.destroy();
    return null;
  }

  #look(ended: boolean): void {
    if (this.#settle === null) return;
    const [answer] = finalOf(readMessages(this.#received, 'response', { methods: [this.#method], ended }));
    if (answer === undefined || !answer.complete) return;
    this.answered += 1;
    this.closing = field(answer, 'connection')?.toLowerCase() === 'close' || answer.framing === 'until-close';
    this.#settle(answer);
  }

  #die(why: string): void {
    this.#dead ??= why;
    this.closing = true;
    this.#fail();
  }

  #fail(): void {
    if (this.#dead === 'ECONNREFUSED') this.#settle?.('refused');
    else this.#settle?.(`${this.#dead} ${this.#received === '' ? 'before the answer' : 'within the answer'}`);
  }
}
