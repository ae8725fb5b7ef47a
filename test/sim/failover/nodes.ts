/**
 * App nodes: they record every write with its epoch and position, answer health checks and hooks, and replicate in one of
 * these ways, drawn per world:
 *
 *   shared   all stand on one store; no positions, no hooks
 *   before   a write is answered once another node has it too; positions, roles, hooks; epochs are checked
 *   silent   as `before`, but nothing is reported: no positions, no roles; every healthy node has it before the answer
 *   after    a write is answered at once and copied later; positions
 *
 * Nodes keep what they had through a crash. One that was primary and comes back holds what nobody else has, until it is
 * told its place: then it takes the history of the node that was promoted last.
 */
import type { Millis } from '../../../src/base/ids.ts';
import type { Random } from '../../../src/base/random.ts';
import type { HookKind } from '../../../src/cluster/failover/model.ts';
import { Breach } from '../breach.ts';
import { between, type Queue } from '../queue.ts';

export const styles = ['shared', 'before', 'silent', 'after'] as const;
export type Style = (typeof styles)[number];

export interface NodeWorld {
  readonly queue: Queue;
  readonly random: Random;
  readonly style: Style;
  covered(what: string): void;
  note(who: string, text: string): void;
  /** A node begins the handler of a write. */
  begun(node: AppNode, write: Write): void;
  promoted(node: AppNode, epoch: number): void;
}

export interface Write {
  readonly id: number;
  readonly epoch: number;
  /** How long its handler takes. */
  readonly takes: Millis;
}

export type NodeAnswer = { readonly ok: boolean; readonly position: number | null; readonly why: string };

export interface HealthAnswer {
  readonly role: string | null;
  readonly epoch: number | null;
  readonly cluster: string | null;
  readonly position: number | null;
  readonly primaryHeard: number | null;
}

/** Between two messages of a tunnel. */
const messageMs: Millis = 120;
/** Longer than an interval of checks with its time-out: one that is down is known to be. */
const checkedMs: Millis = 1000;
const seenDownMs: Millis = 2000;
const copyMs = [10, 120] as const;
/** A write that no other node took by then is answered with an error. */
const replicateMs: Millis = 1500;

export class AppNode {
  /** As files name it. Of two machines that had one name the url tells which is meant. */
  readonly id: string;
  readonly url: string;
  /** For people: with the pool, where there are several. */
  readonly name: string;
  readonly #world: NodeWorld;
  readonly #all: () => readonly AppNode[];
  alive = true;
  /** Takes connections and answers nothing. */
  hung = false;
  /** Hears nothing of other nodes. */
  deaf = false;
  /** Ids of writes, in order: the position is how many. Kept through crashes. */
  history: number[] = [];
  has = new Set<number>();
  /** Highest epoch seen, kept through crashes; 0: none. */
  seen = 0;
  /** The newest epoch in which it was made primary. */
  primaryOf = 0;
  role: 'primary' | 'replica';
  /** It has the history of the current primary, and only that. */
  synced = true;
  /** As health answers say: another cluster's, as a fault. */
  cluster: string | null = null;
  /** Of its hooks. */
  hookFails = 0;
  #run = 0;
  #downAt: Millis = 0;
  #backAt: Millis = Number.NEGATIVE_INFINITY;
  heardAt: Millis = 0;

  constructor(
    { id, host, primary }: { readonly id: string; readonly host: string; readonly primary: boolean },
    world: NodeWorld,
    all: () => readonly AppNode[],
  ) {
    this.id = id;
    this.url = `http://${host}:3000`;
    this.name = host;
    this.role = primary ? 'primary' : 'replica';
    this.#world = world;
    this.#all = all;
    this.#copySoon();
  }

  get checks(): boolean {
    return this.#world.style === 'before';
  }

  get answers(): boolean {
    return this.alive && !this.hung;
  }

  /** World time since which it is up again, after it was down for so long that checks have seen it; Infinity: it still is. */
  get backAt(): Millis {
    const isDown = !this.alive && this.#world.queue.now - this.#downAt > checkedMs;
    return isDown ? Number.POSITIVE_INFINITY : this.#backAt;
  }

  /** A machine that takes the place of another, or joins: it has what the others of a common store have, else nothing. */
  joins(): void {
    this.role = 'replica';
    this.synced = this.#world.style === 'shared';
    const other = this.#all().find((node) => node !== this);
    if (!this.synced || other === undefined) return;
    this.history = [...other.history];
    this.has = new Set(other.history);
  }

  /** As an earlier cluster left it: whom it made primary, and what this one had of its writes. */
  comesFrom(epoch: number, writes: readonly number[], primary: boolean): void {
    this.seen = epoch;
    this.primaryOf = primary ? epoch : 0;
    this.role = primary ? 'primary' : 'replica';
    this.history = [...writes];
    this.has = new Set(writes);
  }

  crash(): void {
    if (this.alive) this.#downAt = this.#world.queue.now;
    this.alive = false;
    this.#run += 1;
  }

  start(): void {
    // Nobody may have seen one that was away for less.
    if (this.#world.queue.now - this.#downAt > seenDownMs) this.#backAt = this.#world.queue.now;
    this.alive = true;
    this.hung = false;
    // What it has may be another history by now: it says so until it has looked.
    this.synced = this.#leading() === this;
  }

  /** The node that was made primary last; before any was, the one that began so. */
  #leading(): AppNode {
    return this.#all().reduce((a, b) => (b.primaryOf > a.primaryOf ? b : a));
  }

  hear(epoch: number): void {
    if (epoch > this.seen) this.seen = epoch;
  }

  health(epoch: number): HealthAnswer {
    this.hear(epoch);
    const { style } = this.#world;
    const tells = style === 'before' || style === 'after';
    const knows = this.synced || this.role === 'primary';
    return {
      role: style === 'before' ? this.role : null,
      epoch: style === 'before' && this.seen > 0 ? this.seen : null,
      cluster: this.cluster,
      position: tells && knows ? this.history.length : null,
      primaryHeard: style === 'before' && this.role === 'replica' ? this.#world.queue.now - this.heardAt : null,
    };
  }

  /** Null: no answer ever. */
  write(write: Write, answer: (answer: NodeAnswer) => void): void {
    const run = this.#run;
    if (this.checks && write.epoch < this.seen) {
      this.#world.covered('node: an older epoch refused');
      return answer({ ok: false, position: null, why: `409 epoch ${write.epoch} is over` });
    }
    this.hear(write.epoch);
    this.#world.begun(this, write);
    // Without hooks it is writes of a newer epoch that make it primary.
    if (this.#world.style === 'after' && write.epoch > this.#leading().primaryOf) this.#lead(write.epoch);
    this.#world.queue.after(write.takes, () => {
      if (this.#run !== run || !this.alive) return;
      // Demoted since, or never promoted: a replica's store is read-only.
      if (this.role !== 'primary' && this.#world.style !== 'shared')
        return answer({ ok: false, position: null, why: 'read-only' });
      this.#append(write.id);
      const position = this.history.length;
      this.#replicate(write, position, (ok) => {
        if (this.#run === run && this.answers)
          answer({ ok, position: ok ? position : null, why: ok ? '' : 'no other node took it' });
      });
    });
  }

  /** Messages until its end; nothing is kept of what they say. */
  tunnel(write: Write, back: { message(): void; answer(answer: NodeAnswer): void }): void {
    const run = this.#run;
    if (this.checks && write.epoch < this.seen)
      return back.answer({ ok: false, position: null, why: `409 epoch ${write.epoch} is over` });
    this.hear(write.epoch);
    this.#world.begun(this, write);
    const until = this.#world.queue.now + write.takes;
    const go = (): void => {
      if (this.#run !== run || !this.answers) return;
      if (this.#world.queue.now >= until) return back.answer({ ok: true, position: null, why: '' });
      back.message();
      this.#world.queue.after(messageMs, go);
    };
    go();
  }

  #append(id: number): void {
    const all = this.#world.style === 'shared' ? this.#all() : [this];
    for (const node of all) {
      if (node.has.has(id)) throw new Breach('no write twice', `write ${id} is in ${node.name} twice`);
      node.history.push(id);
      node.has.add(id);
    }
  }

  #replicate(write: Write, position: number, done: (ok: boolean) => void): void {
    const { style, queue, random } = this.#world;
    if (style === 'shared' || style === 'after') return done(true);
    const others = this.#all().filter((node) => node !== this);
    // Those that are known to be down are left out, where all must have it.
    const wanted = style === 'silent' ? others.filter(({ answers }) => answers).length : 1;
    let acked = 0;
    let open = true;
    const finish = (ok: boolean): void => {
      if (open) done(ok);
      open = false;
    };
    queue.after(replicateMs, () => finish(false));
    if (wanted === 0) return queue.after(1, () => finish(style === 'silent'));
    for (const node of others)
      queue.after(between(random, [0.5, 15]), () => {
        if (!node.take(this, write.epoch, position)) return;
        acked += 1;
        if (acked >= wanted) queue.after(between(random, [0.5, 10]), () => finish(true));
      });
  }

  /** From the primary: all up to that position, unless this node follows a newer one. */
  take(from: AppNode, epoch: number, position: number): boolean {
    if (!this.answers || this.deaf || epoch < this.primaryOf || this.#leading() !== from || this.role === 'primary')
      return false;
    if (this.checks && epoch < this.seen) return false;
    if (!this.synced) this.#follow(from);
    this.heardAt = this.#world.queue.now;
    if (this.history.length < position) this.#copy(from, position);
    return true;
  }

  #copy(from: AppNode, upTo: number): void {
    for (const id of from.history.slice(this.history.length, upTo)) {
      this.history.push(id);
      this.has.add(id);
    }
  }

  #follow(from: AppNode): void {
    let same = 0;
    while (same < this.history.length && this.history[same] === from.history[same]) same += 1;
    if (same < this.history.length) {
      this.#world.covered('node: gave up what only it had');
      this.history = this.history.slice(0, same);
      this.has = new Set(this.history);
    }
    this.synced = true;
  }

  #copySoon(): void {
    const { queue, random, style } = this.#world;
    if (style === 'shared') return;
    queue.after(between(random, copyMs), () => {
      const from = this.#leading();
      if (this.answers && !this.deaf && from.answers && from !== this && this.role === 'replica') {
        this.heardAt = queue.now;
        if (!this.synced) this.#follow(from);
        this.#copy(from, from.history.length);
      }
      this.#copySoon();
    });
  }

  #lead(epoch: number): void {
    const before = this.#leading();
    this.primaryOf = epoch;
    this.role = 'primary';
    this.synced = true;
    if (before === this) return;
    // Those who copied from another look again what they share with this one.
    for (const node of this.#all()) if (node !== this) node.synced = false;
    if (this.#world.style === 'after' && before.answers) before.role = 'replica';
  }

  /** The effect of a hook. */
  hook(kind: HookKind, epoch: number): NodeAnswer {
    if (epoch < this.seen) return { ok: false, position: null, why: `409 epoch ${epoch} is over` };
    this.hear(epoch);
    if (kind === 'promote') {
      this.#world.promoted(this, epoch);
      if (epoch >= this.primaryOf) this.#lead(epoch);
    } else {
      const was = this.role;
      this.role = 'replica';
      if (was === 'primary' && this.#leading() !== this) this.synced = false;
    }
    const position = this.#world.style === 'before' ? this.history.length : null;
    return { ok: true, position, why: '' };
  }

  /** For styles without hooks: a node that comes back follows whoever is primary now. */
  findPlace(): void {
    if (this.#world.style !== 'after' || this.#leading() === this) return;
    this.role = 'replica';
  }
}
