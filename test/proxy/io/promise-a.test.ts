/**
 * Promise A (AGREEMENT 1), by what nodes and clients saw and when: no write of an epoch begins after the next one opened,
 * and no client gets an answer of it after that. Real data threads, which stand still now and then; control beside them
 * gives leases, renews them, ends them, fences by the gauge or by their end, and opens the next epoch somewhere else.
 */
import { describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../../../src/base/random.ts';
import { poolCounters } from '../../../src/scoreboard/layout.ts';
import { counterRow } from '../../../src/scoreboard/scoreboard.ts';
import { field, statusOf } from '../../helpers/http-bytes.ts';
import { pause, until } from '../../helpers/poll.ts';
import { RawClient } from '../../helpers/raw-client.ts';
import { type RawNode, startRawNode } from '../../helpers/raw-node.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';
import { pool as poolRow } from '../../routing/fixtures.ts';
import { type EngineThreads, startEngines } from '../engine-threads.ts';
import { hrtime, parking, post, split } from '../primary-world.ts';

const threads = 2;
const clients = 24;
const runMs = 12_000;
/** Short, so that many end: writes may begin for leaseMs - drainMs, and are cut after leaseMs. */
const leaseMs = 260;
const drainMs = 60;
/**
 * Wider than any pause that the system makes between a look at the clock and a system call: a machine that others share
 * stands still for more than half a second now and then.
 */
const driftMs = 1500;

interface Seen {
  readonly id: string;
  readonly epoch: number;
  readonly at: number;
}

class Run {
  readonly random: Random;
  /** Of this run: another's requests would look like writes sent twice. */
  readonly tag = Math.random().toString(36).slice(2, 10);
  readonly begun: Seen[] = [];
  readonly answered: Seen[] = [];
  readonly openedAt = new Map<number, number>();
  /** How the epoch's leave ended: 0, 1: by the gauge, orderly or at once; 2, 3: by time alone. */
  readonly endedHow = new Map<number, number>();
  readonly statuses = new Map<number, number>();
  broken = 0;
  ended = false;
  nodes: RawNode[] = [];
  engines!: EngineThreads;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.random.next() * bound);
  }

  async start(scope: Scope): Promise<void> {
    this.nodes = await Promise.all([0, 1, 2].map(() => startRawNode(scope)));
    for (const node of this.nodes) this.#answerFor(node);
    // Each write connects anew: there is time between the pick and the first byte.
    const upstream = { ...poolRow('app', 3).upstream, maxIdle: 0 };
    const limits = { maxConnections: 16, maxPending: 100, queueTimeout: 5000 };
    const primary = { parking, split, alone: true };
    this.engines = await startEngines(scope, this.nodes, { threads, pool: { limits, upstream, primary } });
  }

  /** Answers late, sometimes with much. A request begins when it is whole, at the latest. */
  #answerFor(node: RawNode): void {
    node.respond = (request, connection) => {
      const [, id = ''] = request.start.split(' ');
      const epoch = Number(field(request, 'x-ha-epoch'));
      this.begun.push({ id, epoch, at: hrtime() });
      const body = `${epoch} ${'x'.repeat(this.below(10) === 0 ? 300_000 : 0)}`;
      void pause(this.below(6) === 0 ? this.below(300) : this.below(6)).then(() =>
        connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
      );
    };
  }

  async client(number: number): Promise<void> {
    let client: RawClient | null = null;
    let asked = 0;
    for (let i = 0; !this.ended; i++) {
      if (client === null || client.end !== 'open' || this.below(8) === 0) {
        client?.stop();
        client = new RawClient(this.engines.port);
        asked = 0;
      }
      const body = 'b'.repeat(this.below(6) === 0 ? 100_000 : this.below(50));
      const id = `/${this.tag}-${number}-${i}`;
      try {
        await client.send(post(id, body), this.below(5) === 0 ? 'lines' : 'whole');
        const answers = await client.answers(++asked, { withinMs: 60_000 });
        const answer = answers[asked - 1];
        if (answer === undefined) this.broken++;
        else {
          const status = statusOf(answer);
          this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
          if (status === 200) this.answered.push({ id, epoch: Number.parseInt(answer.body, 10), at: hrtime() });
        }
      } catch {
        this.broken++;
      }
      if (this.below(3) === 0) await pause(this.below(20));
    }
    client?.stop();
  }

  /** Threads stand still most where it matters: from about the end of leave to some time after the next epoch opens. */
  #stall(cutAt: number): void {
    for (const worker of this.engines.workers) {
      if (this.below(3) === 0) continue;
      const from = cutAt - drainMs - this.below(80);
      const stall = cutAt + driftMs - from + this.below(250);
      setTimeout(() => worker.postMessage({ stall }), Math.max(0, from - hrtime()));
    }
  }

  async control(): Promise<void> {
    const { primary } = this.engines.board;
    const until = hrtime() + runMs;
    for (let epoch = 1; hrtime() < until; epoch++) {
      const slot = this.below(3);
      const at = { slot, generation: 1 };
      let cutAt = 0;
      this.openedAt.set(epoch, hrtime());
      for (let renewals = this.below(5); renewals >= 0; renewals--) {
        const now = hrtime();
        cutAt = now + leaseMs;
        const record = { mode: 'send', epoch, node: at, writeUntil: cutAt - drainMs, cutAt, forks: [] } as const;
        primary.write(0, record, now);
        await pause(this.below(leaseMs / 2));
      }
      const how = this.below(4);
      this.endedHow.set(epoch, how);
      if (how >= 2) this.#stall(cutAt);
      // Told to stop, in an orderly way or at once; or nobody tells it anything, as when control itself stands still.
      if (how === 0) primary.write(0, { mode: 'park', epoch, node: at, writeUntil: 0, cutAt, forks: [] }, hrtime());
      if (how === 1)
        primary.write(0, { mode: 'park', epoch, node: null, writeUntil: 0, cutAt: hrtime(), forks: [] }, hrtime());
      while (hrtime() < cutAt + driftMs && (how >= 2 || primary.writing(0) > 0)) await pause(1);
      await this.#takeIn(how < 2);
    }
  }

  /**
   * What was sent before this is read after it: nodes and clients share this thread, and have to get their turns. Where the
   * gauge alone says that nothing is held, nodes see the end of each connection first: bytes that wait in the kernel are
   * not what is judged here.
   */
  async #takeIn(byGauge: boolean): Promise<void> {
    const open = (): boolean => this.nodes.some(({ connections }) => connections.some(({ end }) => end === 'open'));
    for (const by = hrtime() + 30_000; byGauge && open() && hrtime() < by; ) await pause(5);
    await pause(15);
    for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
  }

  count(counter: (typeof poolCounters)[number]): number {
    return this.engines.board.sum(counterRow.pool(0) + poolCounters.indexOf(counter));
  }

  /** What came after the next epoch had opened. */
  late(seen: readonly Seen[]): (Seen & { readonly by: number; readonly how: number })[] {
    return seen.flatMap((one) => {
      const by = one.at - (this.openedAt.get(one.epoch + 1) ?? Number.POSITIVE_INFINITY);
      return by > 0 ? [{ ...one, by, how: this.endedHow.get(one.epoch) ?? -1 }] : [];
    });
  }
}

describe('a thread that dies with a write', () => {
  it('holds the fence until it is known to have ended; its connections end with it (2.5)', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.respond = () => {};
    const { board, port, workers } = await startEngines(scope, [node], {
      threads: 1,
      pool: { primary: { parking, split, alone: true } },
    });
    const at = { slot: 0, generation: 1 };
    const [writeUntil, cutAt] = [hrtime() + 30_000, hrtime() + 31_000];
    board.primary.write(0, { mode: 'send', epoch: 1, node: at, writeUntil, cutAt, forks: [] }, hrtime());
    const client = scope.own(new RawClient(port));
    await client.send(post('/w'));
    await until('held', () => board.primary.writing(0) === 1 && node.requests().length === 1);
    await workers[0]!.terminate();
    await until('the end at the node', () => node.connections[0]!.end !== 'open');
    expect(board.primary.writing(0)).toBe(1);
    board.repair(0);
    expect(board.primary.writing(0)).toBe(0);
  });
});

describe('promise A', () => {
  it.each([1, 2])(
    'holds under leases that end and threads that stand still (seed %i)',
    { timeout: 180_000 },
    async (seed) => {
      const run = new Run(seed);
      await run.start(testScope());
      const work = Array.from({ length: clients }, (_, number) => run.client(number));
      await run.control();
      run.ended = true;
      // Those that wait must get an answer, too.
      const node = { slot: 0, generation: 1 };
      const [writeUntil, cutAt] = [hrtime() + 120_000, hrtime() + 121_000];
      const epoch = run.openedAt.size + 1;
      run.openedAt.set(epoch, hrtime());
      run.engines.board.primary.write(0, { mode: 'send', epoch, node, writeUntil, cutAt, forks: [] }, hrtime());
      await Promise.all(work);

      expect(run.begun.filter(({ id }) => !id.startsWith(`/${run.tag}-`))).toEqual([]);
      expect(run.late(run.begun)).toEqual([]);
      expect(run.late(run.answered)).toEqual([]);
      const ids = run.begun.map(({ id }) => id);
      expect(ids.length - new Set(ids).size, 'writes that were sent twice').toBe(0);
      const began = new Map(run.begun.map(({ id, epoch: under }) => [id, under]));
      for (const { id, epoch: under } of run.answered) expect(began.get(id)).toBe(under);
      expect(run.engines.threw).toEqual([]);
      const { primary } = run.engines.board;
      await until('nothing held, nothing parked', () => primary.writing(0) === 0 && primary.parked(0) === 0);
      // It was a hard life.
      expect(run.openedAt.size).toBeGreaterThan(2);
      expect(run.answered.length).toBeGreaterThan(20);
      expect(run.count('parked')).toBeGreaterThan(0);
      expect(run.count('writesCut')).toBeGreaterThan(0);
    },
  );
});
