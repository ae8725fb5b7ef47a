import { expect, it } from 'vitest';
import type { AdminActions, ReloadResult } from '../../src/admin/actions.ts';
import { AdminDoor } from '../../src/app/admin-door.ts';
import { createLog } from '../../src/app/log.ts';
import { send } from '../admin/fixture.ts';
import { pause, until } from '../helpers/poll.ts';
import { freePort } from '../helpers/ports.ts';
import { testScope } from '../helpers/scope.ts';

const at = (port: number, host = '127.0.0.1') => ({ kind: 'tcp', host, port }) as const;
const ask = { method: 'POST', path: '/api/reload', headers: { 'content-type': 'application/json' } };

/** A door at a port, and a reload that moves it to another (or the same of another host) and then takes until it is told to go on. */
async function moving(host?: string) {
  const from = await freePort();
  const to = host === undefined ? await freePort() : from;
  let goOn = (): void => {};
  const told = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const reload = async (): Promise<ReloadResult> => {
    expect(await door.open(at(to, host))).toEqual({ ok: true, value: null });
    await told;
    return { ok: true, version: 2, changed: true, warnings: [] };
  };
  const access = () => ({ token: null, address: at(from), hosts: [] });
  const actions = { access, reload, audit: () => {} } as unknown as AdminActions;
  const door = new AdminDoor(actions, createLog('error'));
  testScope().own({ stop: () => door.close() });
  expect((await door.open(at(from))).ok).toBe(true);
  return { door, from, to, goOn };
}

it('the reload that moves the admin API is answered where it was asked, however long it takes', async () => {
  const { from, to, goOn } = await moving();
  const answer = send(at(from), ask);
  // Longer than what is being answered has when a process ends.
  await pause(1500);
  expect((await send(at(to), { path: '/livez' })).status).toBe(200);
  await expect(send(at(from), { path: '/livez' })).rejects.toThrow('ECONNREFUSED');
  goOn();
  expect((await answer).status).toBe(200);
});

it('so is one that moves it to another address of the same port, where the old one has to close first', async () => {
  const { door, from, goOn } = await moving('127.0.0.2');
  const answer = send(at(from), ask);
  answer.catch(() => {});
  await until('the door is there', () => door.address?.kind === 'tcp' && door.address.host === '127.0.0.2');
  expect((await send(at(from, '127.0.0.2'), { path: '/livez' })).status).toBe(200);
  await expect(send(at(from), { path: '/livez' })).rejects.toThrow('ECONNREFUSED');
  // Longer than what is being answered has when a process ends.
  await pause(1500);
  goOn();
  expect((await answer).status).toBe(200);
});

it('a move that could be neither made nor taken back is made up for by the next one', async () => {
  const port = await freePort();
  const everywhere = at(port, '0.0.0.0');
  let token: string | null = 'a token of the API';
  const access = () => ({ token, address: everywhere, hosts: [] });
  const door = new AdminDoor({ access } as unknown as AdminActions, createLog('fatal'));
  testScope().own({ stop: () => door.close() });
  expect((await door.open(everywhere)).ok).toBe(true);
  // Without a token it opens nowhere on the network: neither there nor here.
  token = null;
  expect((await door.open(at(port, '192.0.2.1'))).ok).toBe(false);
  expect(door.address).toBeNull();
  token = 'a token of the API';
  expect((await door.open(everywhere)).ok).toBe(true);
  expect((await send(at(port), { path: '/livez' })).status).toBe(200);
});

it('what is still being answered where it was is cut with the end', async () => {
  const { door, from, to } = await moving();
  const answer = send(at(from), ask).then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code,
  );
  while (door.address?.kind !== 'tcp' || door.address.port !== to) await pause(5);
  await door.close();
  expect(await answer).toBe('ECONNRESET');
});
