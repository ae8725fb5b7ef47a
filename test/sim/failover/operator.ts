/** An operator: gives commands to whoever leads, at random while faults are at work, with care once they are over. */
import type { CommandAnswer, FailoverCommand } from '../../../src/cluster/failover/contract.ts';
import { oneOf } from '../queue.ts';
import type { Site } from './site.ts';
import { memberOf, type Unit } from './unit.ts';
import type { FailoverWorld } from './world.ts';

const helpMs = 700;
/** So often it asks for the furthest node, before it accepts a loss. */
const patience = 15;

export class Operator {
  readonly #site: Site;
  #failed = 0;

  constructor(site: Site) {
    this.#site = site;
  }

  get #world(): FailoverWorld {
    return this.#site.world;
  }

  get #pool(): string {
    return this.#site.pool;
  }

  get #leader(): Unit | undefined {
    const host = this.#world.leader();
    return host === undefined ? undefined : this.#world.units.get(host);
  }

  #say(command: FailoverCommand): void {
    this.#leader?.command(command, (answer) => this.#answered(command, answer));
  }

  #answered({ kind }: FailoverCommand, answer: CommandAnswer): void {
    const text = answer.ok ? answer.text : `${answer.error.kind} ${'why' in answer.error ? answer.error.why : ''}`;
    this.#site.note('answer', `${kind}: ${text}`);
    this.#world.covered(`command: ${kind} ${answer.ok ? 'done' : answer.error.kind}`);
  }

  switchTo(
    target: string | null,
    more: { readonly at?: number; readonly dryRun?: boolean; readonly loss?: number; readonly force?: boolean } = {},
  ): void {
    this.#say({
      kind: 'switch',
      pool: this.#pool,
      target,
      at: more.at ?? null,
      dryRun: more.dryRun ?? false,
      force: more.force ?? false,
      acceptLoss: more.loss ?? null,
      lost: [],
    });
  }

  plan(inMs: number): void {
    const leader = this.#leader;
    const agreed = leader === undefined ? undefined : memberOf(leader.host)?.status().agreedNow;
    if (agreed !== undefined) this.switchTo(null, { at: Math.floor(agreed + inMs) });
  }

  do(what: string): void {
    const { nodes } = this.#site;
    const { random } = this.#world;
    if (what === 'switch') this.switchTo(random.next() < 0.5 ? null : oneOf(random, nodes)!.id);
    else if (what === 'force') this.switchTo(oneOf(random, nodes)!.id, { force: true });
    else if (what === 'adopt') this.#adopt();
    else if (what === 'plan') this.plan(200 + random.next() * 3000);
    else if (what === 'dry-run') this.switchTo(null, { dryRun: true });
    else if (what === 'failback') this.#say({ kind: 'failback', pool: this.#pool, dryRun: false });
    else if (what === 'disable') this.#say({ kind: 'automatic', pool: this.#pool, enabled: false });
    else if (what === 'enable') this.#say({ kind: 'automatic', pool: null, enabled: true });
    else if (what === 'cancel') this.#say({ kind: 'cancel', pool: this.#pool });
  }

  /** By default the one that was made primary last. */
  #adopt(node?: string): void {
    const furthest = this.#site.nodes.reduce((a, b) => (b.primaryOf > a.primaryOf ? b : a));
    const primary = this.#site.checker.record?.target?.node;
    const last = furthest.primaryOf > 0 ? furthest.id : (primary ?? furthest.id);
    this.#say({ kind: 'adopt', pool: this.#pool, node: node ?? last });
  }

  /** Looks at the pool again and again, and does what its status asks for. */
  helpsOut(): void {
    this.#help();
    this.#world.queue.after(helpMs, () => this.helpsOut());
  }

  #help(): void {
    const status = this.#leader?.machine?.status(this.#pool);
    const record = status?.record;
    if (status == null || record == null) return;
    if (!record.automatic) return this.do('enable');
    if (record.phase === 'undecided' || status.stopped.startsWith('SPLIT_BRAIN'))
      return this.#adopt(record.target?.node);
    if (record.phase === 'failed') {
      // By its name, of those that are healthy the one that was made primary last.
      const up = new Set(status.nodes.flatMap(({ node, up }) => (up === true ? [node] : [])));
      const healthy = this.#site.nodes.filter(({ id }) => up.has(id)).sort((a, b) => b.primaryOf - a.primaryOf);
      this.#failed += 1;
      // What nobody has any more is given up at last.
      this.switchTo(healthy[0]?.id ?? null, this.#failed > patience ? { loss: 1000 } : {});
    }
  }
}
