/**
 * A run: scenario by scenario, all subjects of one side by side and warm, round by round. What a scenario can't have here
 * (a peer that is absent, TLS without openssl) is skipped by name; what fails is told by name, and the run goes on.
 */
import type { Load, Pace, Sample, Scenario, Setup, Subject } from './contract.ts';
import { plainSetup } from './contract.ts';
import type { LoadTool } from './drivers/closed.ts';
import { crowdLimit, measure } from './drivers/measure.ts';
import { Front, makeCertificate } from './fronts.ts';
import type { Kind } from './kinds.ts';
import { loadAverage } from './machine.ts';
import { type Nodes, startNodes } from './nodes.ts';
import type { Place } from './place.ts';
import type { Certificate } from './recipes/recipe.ts';
import { quickLoad } from './scenarios.ts';
import { orderOf } from './statistics.ts';

export interface Measured {
  readonly scenario: Scenario;
  /** As it was: the quick form has smaller ones. */
  readonly load: Load;
  /** Connections that a proxy can hold on this machine. */
  readonly limit: number;
  readonly ours: string;
  readonly peers: readonly string[];
  /** The samples of each round in the order in which they were taken. */
  readonly rounds: readonly (readonly Sample[])[];
  /** Load average of the machine before and after: what else was going on. */
  readonly loadAverage: readonly [number, number];
}

export interface Skipped {
  readonly scenario: string;
  /** null: the whole scenario. */
  readonly subject: string | null;
  readonly why: string;
}

export interface RunOptions {
  readonly place: Place;
  readonly kinds: readonly Kind[];
  readonly tool: LoadTool;
  readonly pace: Pace;
  readonly say: (line: string) => void;
}

export class Run {
  readonly measured: Measured[] = [];
  readonly skipped: Skipped[] = [];
  readonly #options: RunOptions;
  readonly #certificate: Certificate | null;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#certificate = makeCertificate(options.place);
  }

  async scenario(scenario: Scenario): Promise<void> {
    const ours = subjectOf('evenkeel', 'evenkeel', { ...plainSetup, ...scenario.setup });
    if (ours.setup.tls && this.#certificate === null) {
      this.#skip(scenario, null, 'there is no openssl to make a certificate with');
      return;
    }
    const stage = new Stage(this.#options, this.#certificate, scenario);
    try {
      const peers = await stage.standing(this.peersOf(scenario), (subject, why) => this.#skip(scenario, subject, why));
      const before = loadAverage();
      const rounds = await stage.rounds(ours, peers);
      const average: [number, number] = [before, loadAverage()];
      const labels = peers.map((peer) => peer.label);
      this.measured.push({
        scenario,
        load: stage.load,
        limit: crowdLimit(stage.load),
        ours: ours.label,
        peers: labels,
        rounds,
        loadAverage: average,
      });
    } catch (error) {
      this.#skip(scenario, null, `it failed: ${(error as Error).message}`);
    } finally {
      await stage.stop();
    }
  }

  /** Those that stand beside us in it on this machine, as far as is known before they are started. */
  peersOf(scenario: Scenario): Subject[] {
    const ours = { ...plainSetup, ...scenario.setup };
    if (scenario.against !== undefined) {
      return [subjectOf(scenario.against.label, 'evenkeel', { ...plainSetup, ...scenario.against.setup })];
    }
    const upgrades = scenario.load.kind === 'idle' && scenario.load.webSocket;
    return this.#options.kinds
      .filter((kind) => kind.name !== 'evenkeel' && kind.program !== null && (!upgrades || kind.upgrades))
      .filter((kind) => scenario.peers?.includes(kind.name) ?? true)
      .map((kind) => subjectOf(kind.name, kind.name, { ...ours, ...scenario.peerSetup }));
  }

  #skip(scenario: Scenario, subject: string | null, why: string): void {
    const plain = why.replaceAll(this.#options.place.folder, '.').trim();
    this.skipped.push({ scenario: scenario.name, subject, why: plain });
    this.#options.say(`  skipped ${scenario.name}${subject === null ? '' : `, ${subject}`}: ${why}`);
  }
}

const subjectOf = (label: string, proxy: Subject['proxy'], setup: Setup): Subject => ({ label, proxy, setup });

/** The nodes and proxies of one scenario. */
class Stage {
  readonly #options: RunOptions;
  readonly #certificate: Certificate | null;
  readonly #scenario: Scenario;
  readonly load: Load;
  readonly #nodes = new Map<string, Promise<Nodes>>();
  readonly #fronts = new Map<string, Front>();

  constructor(options: RunOptions, certificate: Certificate | null, scenario: Scenario) {
    this.#options = options;
    this.#certificate = certificate;
    this.#scenario = scenario;
    this.load = options.pace.quick ? quickLoad(scenario.load) : scenario.load;
  }

  /** Those of the peers that start and answer rightly; why the others don't is told. */
  async standing(peers: readonly Subject[], tell: (subject: string, why: string) => void): Promise<Subject[]> {
    const standing: Subject[] = [];
    for (const peer of peers) {
      try {
        await this.#front(peer);
        standing.push(peer);
      } catch (error) {
        tell(peer.label, (error as Error).message);
      }
    }
    return standing;
  }

  async rounds(ours: Subject, peers: readonly Subject[]): Promise<Sample[][]> {
    const { pace, say } = this.#options;
    // Warm-up. A single round is to try the harness with, and goes without.
    if (!this.#scenario.fresh && pace.rounds > 1) {
      for (const subject of [ours, ...peers]) await this.#sample(subject);
    }
    const rounds: Sample[][] = [];
    for (let round = 0; round < pace.rounds; round++) {
      const samples: Sample[] = [];
      for (const subject of orderOf(ours, peers, round)) {
        samples.push({ label: subject.label, figures: await this.#sample(subject) });
      }
      rounds.push(samples);
      say(
        `  round ${round + 1} of ${pace.rounds}: ${samples.map((sample) => brief(sample, this.#scenario)).join(' · ')}`,
      );
    }
    return rounds;
  }

  async stop(): Promise<void> {
    for (const front of this.#fronts.values()) await front.stop();
    for (const nodes of await Promise.allSettled(this.#nodes.values())) {
      if (nodes.status === 'fulfilled') await nodes.value.stop();
    }
  }

  async #sample(subject: Subject): Promise<Sample['figures']> {
    const { tool, pace } = this.#options;
    const seconds = pace.seconds * (this.#scenario.longer ?? 1);
    const figures = await measure(await this.#front(subject), this.load, { tool, seconds });
    if (this.#scenario.fresh) await this.#end(subject);
    return figures;
  }

  async #front(subject: Subject): Promise<Front> {
    const known = this.#fronts.get(subject.label);
    if (known !== undefined) return known;
    const kind = this.#options.kinds.find((one) => one.name === subject.proxy);
    if (kind === undefined) throw new Error(`there is no proxy called ${subject.proxy}`);
    const { place } = this.#options;
    const nodes = await this.#nodesFor(subject.setup);
    const front = await Front.start(subject, { kind, nodes, place, certificate: this.#certificate });
    this.#fronts.set(subject.label, front);
    return front;
  }

  async #end(subject: Subject): Promise<void> {
    await this.#fronts.get(subject.label)?.stop();
    this.#fronts.delete(subject.label);
  }

  /** Subjects whose nodes are alike share them; nodes that would not start are not tried again. */
  #nodesFor(setup: Setup): Promise<Nodes> {
    const key = `${setup.nodes} ${setup.backend} ${setup.over}`;
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const nodes = startNodes(this.#options.place, setup);
    this.#nodes.set(key, nodes);
    return nodes;
  }
}

const brief = (sample: Sample, scenario: Scenario): string => {
  const figure = scenario.compare[0] ?? 'cpu';
  return `${sample.label} ${figure} ${(sample.figures[figure] ?? Number.NaN).toFixed(2)}`;
};
