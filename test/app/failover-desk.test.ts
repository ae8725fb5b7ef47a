import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FailoverDesk } from '../../src/app/failover-desk.ts';
import { commandIn, isAnswer } from '../../src/app/failover-words.ts';
import type { MemberId } from '../../src/base/ids.ts';
import type { CommandAnswer, FailoverCommand } from '../../src/cluster/failover/contract.ts';
import { until } from '../helpers/poll.ts';
import { testScope } from '../helpers/scope.ts';

const id = (name: string): MemberId => name as MemberId;
const failback: FailoverCommand = { kind: 'failback', pool: 'app', dryRun: true };
const done: CommandAnswer = { ok: true, plan: null, text: 'done' };

/** Desks of members that hear each other; `leads` says where commands are done. */
function desks(leads: string, loses: (from: string, to: string) => boolean = () => false) {
  const scope = testScope();
  const commands: string[] = [];
  const all = new Map<string, FailoverDesk>();
  const world = { leads, commands, answer: done as CommandAnswer | Promise<CommandAnswer>, all, told: 0 };
  for (const name of ['x', 'y', 'z']) {
    const desk = new FailoverDesk({
      command: () => {
        if (name !== world.leads) return Promise.resolve({ ok: false, error: { kind: 'not-leader', leader: null } });
        commands.push(name);
        return Promise.resolve(world.answer);
      },
      tell: (to, bytes) => {
        world.told += 1;
        // As members are told: what is longer is lost.
        if (bytes.byteLength <= 32 * 1024 && !loses(name, to)) setImmediate(() => all.get(to)?.told(id(name), bytes));
      },
      leader: () => (world.leads === '' ? null : id(world.leads)),
    });
    all.set(name, desk);
    scope.own({ stop: () => desk.close() });
  }
  return world;
}

describe('what operators ask', () => {
  it('is done here by the leader, and by the leader for the others', async () => {
    const world = desks('x');
    expect(await world.all.get('x')!.command(failback)).toEqual(done);
    expect(await world.all.get('y')!.command(failback)).toEqual(done);
    expect(world.commands).toEqual(['x', 'x']);
  });

  it('is done once, though words are lost either way', async () => {
    let lost = 0;
    const world = desks('x', () => ++lost <= 3);
    expect(await world.all.get('z')!.command(failback)).toEqual(done);
    expect(world.commands).toEqual(['x']);
  });

  it('is done once, though much else is asked while it lasts', async () => {
    const world = desks('x');
    const held = Promise.withResolvers<CommandAnswer>();
    world.answer = held.promise;
    const asked = Array.from({ length: 600 }, () => world.all.get('z')!.command(failback));
    await until('each was said again', () => world.told > 1500);
    held.resolve(done);
    expect(await Promise.all(asked)).toEqual(asked.map(() => done));
    expect(world.commands).toHaveLength(600);
  });

  it('goes to who leads now, if that has changed meanwhile', async () => {
    const world = desks('x', (_from, to) => to === 'x');
    const asked = world.all.get('z')!.command(failback);
    setImmediate(() => {
      world.leads = 'y';
    });
    expect(await asked).toEqual(done);
    expect(world.commands).toEqual(['y']);
  });

  it('is no-quorum once nobody has led for a while; the end of an election does not come too late', async () => {
    const world = desks('x', (_from, to) => to === 'x');
    const [asked, other] = [world.all.get('z')!.command(failback), world.all.get('y')!.command(failback)];
    setTimeout(() => {
      world.leads = '';
    }, 100);
    expect(await asked).toEqual({ ok: false, error: { kind: 'no-quorum', missing: [] } });
    expect(await other).toMatchObject({ ok: false });
    world.leads = '';
    const late = world.all.get('z')!.command(failback);
    setTimeout(() => {
      world.leads = 'y';
    }, 1500);
    expect(await late).toEqual(done);
  }, 60_000);

  it('that is refused comes back with its reason', async () => {
    const world = desks('x');
    world.answer = { ok: false, error: { kind: 'unfit', why: 'b is down', forcible: false } };
    expect(await world.all.get('y')!.command(failback)).toEqual(world.answer);
  });

  it('comes back though the reason is long, or there are many nodes', async () => {
    const world = desks('x');
    const names = Array.from({ length: 4000 }, (_, i) => `a-node-with-a-long-name-${i}`);
    const reason = (name: string): string => `${name}: was primary, and has not shown since that it knows its place`;
    const ask = async (answer: CommandAnswer): Promise<string> => {
      world.answer = answer;
      const told = await world.all.get('y')!.command(failback);
      expect(told.ok).toBe(answer.ok);
      return JSON.stringify(told);
    };
    const why = names.slice(0, 20).map(reason).join('; ');
    expect(await ask({ ok: false, error: { kind: 'unfit', why, forcible: false } })).toContain(why.slice(0, 1000));
    const known = await ask({ ok: false, error: { kind: 'unknown-node', known: names } });
    expect(known).toMatch(/a-node-with-a-long-name-0".*and \d+ more/);
    const others = names.map((node) => ({ node, why: reason(node) }));
    const plan = { pool: 'app', from: 'a', to: 'b', why: 'the furthest', pauseMs: 200, others };
    expect(await ask({ ok: true, text: 'b would become primary', plan })).toMatch(/a-node-with-a-long-name-0:.*more/);
  });

  it('that is too long to be told is refused at once', async () => {
    const world = desks('x');
    const asked = world.all.get('y')!.command({ kind: 'adopt', pool: 'app', node: 'n'.repeat(2000) });
    expect(await asked).toMatchObject({ ok: false, error: { kind: 'failed' } });
  });

  it('is answered when the process ends', async () => {
    const world = desks('x', () => true);
    const asked = world.all.get('y')!.command(failback);
    await until('the question is on its way', () => true);
    world.all.get('y')!.close();
    expect(await asked).toEqual({ ok: false, error: { kind: 'failed', why: 'this process ends' } });
  });
});

const text = fc.string({ maxLength: 20 });
const command: fc.Arbitrary<FailoverCommand> = fc.oneof(
  fc.record({ kind: fc.constant('failback' as const), pool: text, dryRun: fc.boolean() }),
  fc.record({ kind: fc.constant('adopt' as const), pool: text, node: text }),
  fc.record({ kind: fc.constant('automatic' as const), pool: fc.option(text), enabled: fc.boolean() }),
  fc.record({ kind: fc.constant('cancel' as const), pool: text }),
  fc.record({
    kind: fc.constant('switch' as const),
    pool: text,
    target: fc.option(text),
    at: fc.option(fc.nat()),
    dryRun: fc.boolean(),
    force: fc.boolean(),
    acceptLoss: fc.option(fc.nat()),
    lost: fc.array(text),
  }),
);
const answer: fc.Arbitrary<CommandAnswer> = fc.oneof(
  fc.record({ ok: fc.constant(true as const), text, plan: fc.constant(null) }),
  fc.record({
    ok: fc.constant(true as const),
    text,
    plan: fc.record({
      ...{ pool: text, from: fc.option(text), to: text, why: text, pauseMs: fc.nat() },
      others: fc.array(fc.record({ node: text, why: text })),
    }),
  }),
  fc
    .oneof<fc.Arbitrary<Exclude<CommandAnswer, { ok: true }>['error']>[]>(
      fc.record({ kind: fc.constantFrom('unknown-pool' as const, 'unknown-node' as const), known: fc.array(text) }),
      fc.record({ kind: fc.constantFrom('busy' as const, 'failed' as const), why: text }),
      fc.record({ kind: fc.constant('unfit' as const), why: text, forcible: fc.boolean() }),
      fc.record({ kind: fc.constant('no-quorum' as const), missing: fc.array(text) }),
    )
    .map((error) => ({ ok: false as const, error })),
);

describe('words between desks', () => {
  it('come through as they were', () => {
    fc.assert(fc.property(command, (one) => void expect(commandIn(JSON.parse(JSON.stringify(one)))).toEqual(one)));
    fc.assert(fc.property(answer, (one) => void expect(isAnswer(JSON.parse(JSON.stringify(one)))).toBe(true)));
  });

  it('that are none are dropped, whatever they are', async () => {
    const world = desks('x');
    const desk = world.all.get('x')!;
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void desk.told(id('y'), bytes)));
    fc.assert(
      fc.property(fc.json(), (json) => {
        desk.told(id('y'), Buffer.from(`{"ask":1,"command":${json}}`));
        desk.told(id('y'), Buffer.from(`{"answer":1,"result":${json}}`));
      }),
    );
    const almost = [
      { kind: 'switch', pool: 'app' },
      { kind: 'failback', pool: 7 },
      { kind: 'x', pool: 'app' },
      null,
      [],
    ];
    for (const one of almost) expect(commandIn(one)).toBeNull();
    for (const one of [...almost, { ok: true }, { ok: false, error: { kind: 'busy' } }])
      expect(isAnswer(one)).toBe(false);
    expect(world.commands).toEqual([]);
  });
});
