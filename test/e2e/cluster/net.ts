/**
 * A network of the test's own: one namespace per member, joined by a bridge in another one, cut by nftables.
 *
 *   [member 0: 10.77.0.1] --veth--.
 *   [member 1: 10.77.0.2] --veth-- bridge        cut(0, 1): what 0 sends is dropped as it comes in at 1
 *   [member 2: 10.77.0.3] --veth--'
 *
 * No namespace has a name: each lives as long as the process in it, and those end with the pipe to this process, whichever
 * way that ends. So nothing can be left behind, and nothing outside is touched.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import type { Scope } from '../../helpers/scope.ts';
import type { Place } from './processes.ts';

/** Debian keeps these in sbin, which is in no user's PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

function run(program: string, args: readonly string[], input = ''): string {
  return execFileSync(program, args, { env, input, encoding: 'utf8', stdio: 'pipe', timeout: 20_000 });
}

/** Why this machine has no such networks; null: it has. */
export function noNetworks(): string | null {
  const needs: readonly (readonly [string, readonly string[], string])[] = [
    ['unshare', ['--net', '--', 'true'], 'network namespaces, which need root'],
    ['ip', ['-V'], 'ip (iproute2)'],
    ['unshare', ['--net', '--', 'nft', 'list', 'ruleset'], 'nft (nftables)'],
  ];
  for (const [program, args, what] of needs) {
    try {
      run(program, args);
    } catch {
      return `no ${what}`;
    }
  }
  return null;
}

/** A process that does nothing, in a network namespace of its own. */
class Room {
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid ?? -1;
  }

  static async open(): Promise<Room> {
    const child = spawn('unshare', ['--net', '--', 'sh', '-c', 'echo there; exec cat'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`no network namespace: unshare ended with ${code}`)));
      child.stdout?.once('data', () => resolve());
    });
    return new Room(child);
  }

  get through(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, '--'];
  }

  run(words: readonly string[], input = ''): string {
    const [program, ...args] = [...this.through, ...words];
    return run(program!, args, input);
  }

  /** While this process goes on. */
  runAside(words: readonly string[], input: string): Promise<void> {
    const [program, ...args] = [...this.through, ...words];
    return new Promise((resolve, reject) => {
      const child = execFile(program!, args, { env, timeout: 20_000 }, (error) => (error ? reject(error) : resolve()));
      child.stdin?.end(input);
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.once('close', () => resolve());
      this.#child.kill('SIGKILL');
    });
  }
}

const addressOf = (index: number): string => `10.77.0.${index + 1}`;

export class Net implements Place {
  readonly #hub: Room;
  readonly #rooms: readonly Room[];
  /** By receiver: from whom it gets nothing. */
  readonly #deaf: readonly Set<number>[];

  private constructor(hub: Room, rooms: readonly Room[]) {
    this.#hub = hub;
    this.#rooms = rooms;
    this.#deaf = rooms.map(() => new Set());
  }

  static async of(scope: Scope, count: number): Promise<Net> {
    const rooms: Room[] = [];
    for (let i = 0; i <= count; i++) {
      const room = await Room.open();
      scope.own({ stop: () => room.close() });
      rooms.push(room);
    }
    const [hub, ...members] = rooms;
    const net = new Net(hub!, members);
    net.#wire();
    return net;
  }

  #wire(): void {
    this.#hub.run(['ip', 'link', 'add', 'bridge', 'type', 'bridge']);
    this.#hub.run(['ip', 'link', 'set', 'bridge', 'up']);
    this.#rooms.forEach((room, index) => {
      const port = `port${index}`;
      const pair = ['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(room.pid)];
      this.#hub.run(pair);
      this.#hub.run(['ip', 'link', 'set', port, 'master', 'bridge', 'up']);
      room.run(['ip', 'address', 'add', `${addressOf(index)}/24`, 'dev', 'eth0']);
      room.run(['ip', 'link', 'set', 'lo', 'up']);
      room.run(['ip', 'link', 'set', 'eth0', 'up']);
    });
  }

  address(index: number): string {
    return addressOf(index);
  }

  through(index: number): readonly string[] {
    return this.#rooms[index]!.through;
  }

  /** Nothing that `from` sends reaches `to` any more. */
  cut(from: number, to: number): void {
    this.#deaf[to]!.add(from);
    this.#apply(to);
  }

  /** It hears none of these any more; nothing stands still until that is so. */
  deafen(to: number, from: readonly number[]): Promise<void> {
    for (const one of from) this.#deaf[to]!.add(one);
    return this.#rooms[to]!.runAside(['nft', '-f', '-'], this.#tableOf(to));
  }

  /** Nothing passes between the groups, in neither direction. Who is in no group, or in several, hears as before. */
  split(...groups: readonly (readonly number[])[]): void {
    const together = (a: number, b: number): boolean => groups.some((group) => group.includes(a) && group.includes(b));
    const placed = groups.flat();
    for (const a of placed) for (const b of placed) if (a !== b && !together(a, b)) this.#deaf[b]!.add(a);
    for (let i = 0; i < this.#rooms.length; i++) this.#apply(i);
  }

  heal(): void {
    this.#deaf.forEach((from, to) => {
      from.clear();
      this.#apply(to);
    });
  }

  #apply(to: number): void {
    this.#rooms[to]!.run(['nft', '-f', '-'], this.#tableOf(to));
  }

  #tableOf(to: number): string {
    const rules = [...this.#deaf[to]!].map((from) => `ip saddr ${addressOf(from)} drop`);
    const table = `table inet cuts {\n chain in { type filter hook input priority 0; policy accept;\n ${rules.join('\n ')}\n }\n}\n`;
    return `add table inet cuts\ndelete table inet cuts\n${table}`;
  }
}
