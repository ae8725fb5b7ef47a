/** Gossip's streams over the transport: one request, one answer, each way. */
import type { MemberInput, MemberOutput } from '../member/contract.ts';
import type { MemberTransport } from './no-transport.ts';

/** The kind of gossip's requests between members. */
export const swimRequest = 2;

interface Asked {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export class MemberStreams {
  readonly #transport: Pick<MemberTransport, 'request'>;
  readonly #step: (input: MemberInput) => void;
  /** Requests of others that were given to the machine, and wait for its next take. */
  readonly #asked = new Map<number, Asked>();
  #number = 0;

  constructor(transport: Pick<MemberTransport, 'request'>, step: (input: MemberInput) => void) {
    this.#transport = transport;
    this.#step = step;
  }

  /** Somebody asks. What the machine does not answer at once it never does. */
  asked(bytes: Uint8Array): Promise<Uint8Array> {
    this.#number += 1;
    const stream = this.#number;
    return new Promise((resolve, reject) => {
      this.#asked.set(stream, { resolve, reject });
      this.#step({ kind: 'request', stream, bytes });
    });
  }

  /** After a take. */
  answered(replies: MemberOutput['replies']): void {
    for (const { stream, bytes } of replies) {
      this.#asked.get(stream)?.resolve(bytes);
      this.#asked.delete(stream);
    }
    this.close();
  }

  open({ stream, to, bytes, timeoutMs }: MemberOutput['open'][number]): void {
    this.#transport.request(to, swimRequest, bytes, { timeoutMs }).then(
      (answer) => this.#step({ kind: 'answer', stream, bytes: answer }),
      () => this.#step({ kind: 'failed', stream }),
    );
  }

  /** Whoever still waits is refused. */
  close(): void {
    for (const { reject } of this.#asked.values()) reject(new Error('not answered here'));
    this.#asked.clear();
  }
}
