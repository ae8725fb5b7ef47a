/** What one client can cost the others: turns of the loop, and memory beside the bytes that it sent. */
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { pause, until } from '../../helpers/poll.ts';
import { get } from '../../helpers/raw-client.ts';
import { startRawNode } from '../../helpers/raw-node.ts';
import { testScope } from '../../helpers/scope.ts';
import { startWorld } from '../world.ts';

/** The sockets of this process for which it holds; the engine runs in it. */
function socketsWhere(holds: (socket: Socket) => boolean): Socket[] {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  return handles.filter((one): one is Socket => one instanceof Socket && holds(one));
}

describe('a client that sends thousands of requests at once', () => {
  it('has a few begun per turn of the loop, and all answered in order', async () => {
    const scope = testScope();
    const perTurn = [0];
    const turn = (): void => {
      perTurn.push(0);
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    scope.own({ stop: () => clearImmediate(next) });
    const targets: string[] = [];
    const world = await startWorld(scope, [await startRawNode(scope)], {
      route: { host: 'another.test' },
      engine: {
        onOutcome: ({ target }) => {
          targets.push(target);
          perTurn[perTurn.length - 1]!++;
        },
      },
    });
    const client = world.client();
    const asked = Array.from({ length: 6000 }, (_, i) => `/${i}`);
    client.socket.removeAllListeners('data').resume();
    await client.send(asked.map((target) => get(target)).join(''));
    client.halfClose();
    await client.ended();
    expect(targets).toEqual(asked);
    // Those of one read, and those of the turn after the one before.
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(64);
  });
});

describe('a body that comes byte by byte', () => {
  it('is read no further while its last byte waits at the node', async () => {
    const scope = testScope();
    const node = await startRawNode(scope);
    node.onConnection = ({ socket }) => void socket.pause();
    const world = await startWorld(scope, [node]);
    const client = world.client();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    await until('a connection to the node', () => node.connections.length === 1);
    const [toNode] = socketsWhere(({ remotePort }) => remotePort === node.port);
    const [toClient] = socketsWhere(({ localPort }) => localPort === world.port);
    const piece = `${(16_000).toString(16)}\r\n${'x'.repeat(16_000)}\r\n`;
    let sent = 0;
    for (let stuck = 0; stuck < 20; ) {
      if (toNode!.writableLength > 0) stuck++;
      else {
        stuck = 0;
        await client.send(piece);
        sent += piece.length;
      }
      await pause(stuck > 0 ? 10 : 0);
    }
    expect(toClient!.isPaused()).toBe(false);
    await client.send('1');
    await until('the client held back', () => toClient!.isPaused());
    node.connections[0]!.socket.resume();
    await client.send('\r\nx\r\n0\r\n\r\n');
    const [answer] = await client.answers(1);
    expect(answer!.body).toBe('POST /');
    expect(node.requests()).toHaveLength(1);
    expect(sent).toBeGreaterThan(0);
  });
});
