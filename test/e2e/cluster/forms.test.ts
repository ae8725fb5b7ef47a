/** Three real processes with `cluster:` in their configs and nothing beside them. */
import { cp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../helpers/evenkeel.ts';
import { until, within } from '../../helpers/poll.ts';
import { testScope } from '../../helpers/scope.ts';
import { Processes } from './processes.ts';

const metric = (page: string, name: string): number =>
  Number(new RegExp(`^evenkeel_cluster_${name} (\\S+)$`, 'm').exec(page)?.[1]);

describe('three processes', () => {
  it('form one cluster; a write outlives the leader, and all of them', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    const first = await members.led();
    const { cluster } = await members.shown(first);
    for (const seat of members.seats) expect((await members.shown(seat)).cluster).toBe(cluster);
    const [other, third] = members.seats.filter((seat) => seat !== first);
    await members.written(other!, 'color', 'blue');
    for (const seat of members.seats) expect(await members.get(seat, 'color')).toBe('blue');

    await members.end(first, 'SIGKILL');
    const second = await members.led();
    expect(second).not.toBe(first);
    expect(await members.get(third!, 'color')).toBe('blue');
    await members.written(third!, 'after', 'the leader');

    await Promise.all(members.running.map((seat) => members.end(seat, 'SIGKILL')));
    members.start(...members.seats);
    await members.led();
    expect((await members.shown(first)).cluster).toBe(cluster);
    for (const seat of members.seats) {
      expect(await members.get(seat, 'color')).toBe('blue');
      expect(await members.get(seat, 'after')).toBe('the leader');
    }
  });

  it('SIGTERM changes no voters: it hands leadership on, and comes back to its seat', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    await members.ready();
    const first = await members.led();
    expect(await members.end(first, 'SIGTERM')).toEqual({ code: 0, signal: null });
    const second = await members.led();
    await until('it counts as the leader', async () => {
      const page = await (await members.ask(second, '/metrics')).text();
      return metric(page, 'is_leader') === 1 && metric(page, 'has_quorum') === 1;
    });
    await members.written(second, 'k', 'v');
    members.start(first);
    await members.led();
    expect(await members.get(first, 'k')).toBe('v');
  });
});

describe('a member without its quorum', () => {
  it('serves traffic, is ready, and says what is missing', async () => {
    const members = await Processes.of(testScope(), 3);
    const [alone] = members.seats;
    members.start(alone!);
    const ready = await until(
      'ready',
      async () => {
        const response = await members.ask(alone!, '/readyz');
        return response.status === 200 ? ((await response.json()) as { readonly warnings?: readonly string[] }) : null;
      },
      { withinMs: 60_000 },
    );
    expect(ready.warnings).toEqual([expect.stringMatching(/^cluster: no quorum, so nothing is agreed: /)]);
    expect((await fetch(`http://127.0.0.1:${alone!.port}/`)).status).toBe(502);
    const page = await (await members.ask(alone!, '/metrics')).text();
    expect([metric(page, 'is_leader'), metric(page, 'has_quorum')]).toEqual([0, 0]);
    expect(page).toMatch(/^evenkeel_cluster_state\{state="FORMING"\} 1$/m);
    expect(await members.end(alone!, 'SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

describe('a witness', () => {
  it.each(['by its config', 'by its command, with the file of the others'])(
    'makes a quorum with one of two others, and opens no listener: %s',
    async (how) => {
      const members = await Processes.of(testScope(), 3);
      const [one, two, witness] = members.seats;
      if (how === 'by its config') {
        await members.write(witness!, { witness: true }, { listen: undefined, pools: undefined });
        members.start(...members.seats);
      } else {
        members.start(one!, two!);
        members.run(witness!, 'witness');
      }
      await members.ready();
      const leader = await until(
        'another one than the witness leads',
        async () => {
          const now = await members.led();
          return now === witness ? null : now;
        },
        { withinMs: 60_000 },
      );
      await expect(fetch(`http://127.0.0.1:${witness!.port}/`)).rejects.toThrow();
      await members.end(leader, 'SIGKILL');
      const rest = leader === one ? two! : one!;
      await members.written(rest, 'k', 'v');
      expect(await members.get(witness!, 'k')).toBe('v');
      await until('the other one leads', async () => (await members.led()) === rest, { withinMs: 60_000 });
    },
  );

  it('needs a cluster to be one of', async () => {
    const scope = testScope();
    const file = join(await scope.folder(), 'config.yaml');
    await writeFile(file, 'pools: { app: { nodes: [http://127.0.0.1:1] } }\n');
    const { code, stderr } = await runCli('witness', '-c', file);
    expect([code, stderr]).toEqual([1, expect.stringContaining('has no cluster')]);
  });
});

describe('a member that must not go on', () => {
  it('whose data folder is an older copy ends with the reason, and the others go on', async () => {
    const members = await Processes.of(testScope(), 3);
    members.start(...members.seats);
    const leader = await members.led();
    const old = members.seats.find((seat) => seat !== leader)!;
    const [data, copy] = [join(old.folder, 'data'), join(old.folder, 'copy')];
    await members.end(old, 'SIGKILL');
    await cp(data, copy, { recursive: true });
    members.start(old);
    await members.led();
    await members.end(old, 'SIGKILL');
    await rm(data, { recursive: true });
    await rename(copy, data);
    members.start(old);
    const { child } = old;
    expect(await within('its end', child!.exit, 60_000)).toEqual({ code: 1, signal: null });
    expect(child!.output()).toMatch(/data folder/);
    old.child = null;
    await members.written(await members.led(), 'k', 'v');
  });

  it('whose data folder is in use does not start', async () => {
    const scope = testScope();
    const [one, two] = [await Processes.of(scope, 1), await Processes.of(scope, 1)];
    one.start(...one.seats);
    await one.led();
    await two.write(two.seats[0]!, {}, { dataDir: join(one.seats[0]!.folder, 'data') });
    const { stderr, code } = await runCli('run', '-c', two.seats[0]!.file);
    expect([code, stderr]).toEqual([1, expect.stringContaining('is in use by another process')]);
  });
});
