/** Membership's machine and its bytes: what it says is encoded, what comes is decoded or refused and counted. */
import type { Millis } from '../../base/ids.ts';
import {
  decodeAnswer,
  decodeDatagram,
  decodeRequest,
  encodeAnswer,
  encodeDatagram,
  encodeRequest,
} from '../swim/codec.ts';
import type { Metadata, SwimEvent } from '../swim/model.ts';
import { Swim } from '../swim/swim.ts';
import type { MemberInput } from './contract.ts';
import type { Core } from './core.ts';

/** Gossip's list is looked at anew at least so often. */
const lookEveryMs = 500;

export class Gossip {
  readonly swim: Swim;
  readonly #core: Core;
  readonly #told: (event: SwimEvent) => void;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(core: Core, told: (event: SwimEvent) => void) {
    this.#core = core;
    this.#told = told;
    const { uid: id, boot, options } = core;
    const { name, address, metadata, random } = options;
    this.swim = new Swim({ self: { id, boot, name, address, metadata }, settings: options.swim ?? {} }, random);
    this.swim.step(core.now, { kind: 'join', seeds: options.cluster?.seeds ?? [] });
  }

  tick(): void {
    this.swim.step(this.#core.now, { kind: 'tick' });
  }

  leave(): void {
    this.swim.step(this.#core.now, { kind: 'leave' });
  }

  stalled(ms: Millis): void {
    this.swim.step(this.#core.now, { kind: 'stall', ms });
  }

  describe(metadata: Metadata): void {
    this.swim.step(this.#core.now, { kind: 'metadata', metadata });
  }

  heard(input: Extract<MemberInput, { readonly kind: 'datagram' | 'request' | 'answer' | 'failed' }>): void {
    const { now } = this.#core;
    if (input.kind === 'failed') return this.swim.step(now, input);
    if (input.kind === 'datagram') {
      const datagram = decodeDatagram(input.bytes);
      if (!datagram.ok) return this.#core.refuse(`datagram: ${datagram.error}`);
      return this.swim.step(now, { kind: 'datagram', from: input.from, datagram: datagram.value });
    }
    if (input.kind === 'request') {
      const request = decodeRequest(input.bytes);
      if (!request.ok) return this.#core.refuse(`request: ${request.error}`);
      return this.swim.step(now, { kind: 'request', stream: input.stream, request: request.value });
    }
    const answer = decodeAnswer(input.bytes);
    if (answer.ok) return this.swim.step(now, { kind: 'answer', stream: input.stream, answer: answer.value });
    this.#core.refuse(`answer: ${answer.error}`);
    this.swim.step(now, { kind: 'failed', stream: input.stream });
  }

  /** What gossip has to say goes out; its list is noted. */
  drain(): void {
    const { core, taken } = { core: this.#core, taken: this.swim.take() };
    for (const { to, datagram } of taken.datagrams) core.out.datagrams.push({ to, bytes: encodeDatagram(datagram) });
    for (const { stream, to, request, timeoutMs } of taken.open)
      core.out.open.push({ stream, to, bytes: encodeRequest(request), timeoutMs });
    for (const { stream, answer } of taken.replies) core.out.replies.push({ stream, bytes: encodeAnswer(answer) });
    if (taken.events.length > 0 || core.now >= this.#lookedAt + lookEveryMs) {
      this.#lookedAt = core.now;
      core.book.saw(this.swim.members());
    }
    for (const event of taken.events) {
      core.out.events.push({ kind: 'swim', event });
      this.#told(event);
    }
  }
}
