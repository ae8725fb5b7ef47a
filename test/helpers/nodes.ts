/** Handles on app nodes (app-node.ts): start, ask, kill, start again on the same port. */
import { fileURLToPath } from 'node:url';
import type { AppStats, FromAppNode, ToAppNode } from './app-node.ts';
import { Child } from './child.ts';
import { within } from './poll.ts';
import { freePort } from './ports.ts';
import type { Scope } from './scope.ts';

const script = fileURLToPath(new URL('./app-node.ts', import.meta.url));

export class AppNode {
  readonly name: string;
  /** Its port on 127.0.0.1, or the path of its unix socket. */
  readonly where: number | string;
  #child: Child | null = null;

  constructor(name: string, where: number | string) {
    this.name = name;
    this.where = where;
  }

  get port(): number {
    if (typeof this.where !== 'number') throw new Error(`node ${this.name} listens on ${this.where}, not on a port`);
    return this.where;
  }

  /** As a node of a config. */
  get url(): string {
    return typeof this.where === 'number' ? `http://127.0.0.1:${this.where}` : `unix:${this.where}`;
  }

  async start(): Promise<void> {
    const child = new Child(script, { args: [this.name, String(this.where)], ipc: true });
    this.#child = child;
    const ended = child.exit.then(() => {
      throw new Error(`app node ${this.name} ended before it listened:\n${child.output()}`);
    });
    await within(`app node ${this.name} on ${this.where}`, Promise.race([reply(child, 'listening'), ended]), 60_000);
  }

  /** SIGKILL; resolves when the process has ended, from when on its port refuses. */
  async kill(): Promise<void> {
    await this.#running().stop();
    this.#child = null;
  }

  async stats(): Promise<AppStats> {
    return (await this.#ask({ kind: 'stats' }, 'stats')).stats;
  }

  async setHealth(status: number, body?: string): Promise<void> {
    await this.#ask({ kind: 'health', status, ...(body === undefined ? {} : { body }) }, 'done');
  }

  /** Answers all requests to /hold. */
  async release(): Promise<void> {
    await this.#ask({ kind: 'release' }, 'done');
  }

  async stop(): Promise<void> {
    if (this.#child !== null) await this.kill();
  }

  #running(): Child {
    if (this.#child === null) throw new Error(`app node ${this.name} is not running`);
    return this.#child;
  }

  async #ask<K extends FromAppNode['kind']>(message: ToAppNode, answer: K): Promise<Extract<FromAppNode, { kind: K }>> {
    const child = this.#running();
    const answered = reply(child, answer);
    child.process.send(message);
    return within(`answer of app node ${this.name} to ${message.kind}`, answered);
  }
}

function reply<K extends FromAppNode['kind']>(child: Child, kind: K): Promise<Extract<FromAppNode, { kind: K }>> {
  return new Promise((resolve) => {
    const listen = (message: FromAppNode): void => {
      if (message.kind !== kind) return;
      child.process.off('message', listen);
      resolve(message as Extract<FromAppNode, { kind: K }>);
    };
    child.process.on('message', listen);
  });
}

/** A running app node on a free port. */
export async function startAppNode(scope: Scope, name: string, where?: number | string): Promise<AppNode> {
  const node = scope.own(new AppNode(name, where ?? (await freePort())));
  await node.start();
  return node;
}

/** Running app nodes with these names. */
export async function startAppNodes(scope: Scope, ...names: readonly string[]): Promise<AppNode[]> {
  return Promise.all(names.map((name) => startAppNode(scope, name)));
}
