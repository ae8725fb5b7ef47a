/** What users are shown to let a node check epochs (docs/examples/epoch-guard.mjs): the highest is kept, a lower one gets 409. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { epochGuard } from '../../../docs/examples/epoch-guard.mjs';
import { type Scope, testScope } from '../../helpers/scope.ts';

async function guarded(scope: Scope, file: string): Promise<(epoch: string | null) => Promise<number>> {
  const guard = epochGuard(file);
  const server = http.createServer((request, response) => {
    if (guard.admit(request, response)) response.end('written');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.own({ stop: () => void server.close() });
  const { port } = server.address() as AddressInfo;
  return async (epoch) => {
    const headers: Record<string, string> = { connection: 'close', ...(epoch === null ? {} : { 'x-ha-epoch': epoch }) };
    const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers });
    await answer.text();
    return answer.status;
  };
}

it('a write of an epoch below the highest is refused, also after a restart', async () => {
  const scope = testScope();
  const file = join(await scope.folder(), 'epoch');
  const first = await guarded(scope, file);
  expect([await first('3'), await first('3'), await first('2'), await first('4'), await first('3')]).toEqual([
    200, 200, 409, 200, 409,
  ]);
  const second = await guarded(scope, file);
  expect([await second('3'), await second('4'), await second('10'), await second('9')]).toEqual([409, 200, 200, 409]);
});
