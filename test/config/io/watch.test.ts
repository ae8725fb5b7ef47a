import { mkdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type WatchOptions, watchConfig, watchFiles } from '../../../src/config/io/watch.ts';
import { until } from '../../helpers/poll.ts';
import { type Scope, testScope } from '../../helpers/scope.ts';

/** Polls so rarely that only the watch can have told. */
const eventsOnly: WatchOptions = { debounceMs: 20, pollMs: 600_000 };

async function watched(scope: Scope, file: string, options: WatchOptions = eventsOnly) {
  const seen = { changes: 0, warnings: [] as string[] };
  const log = { warn: (message: string) => void seen.warnings.push(message) };
  const watch = watchConfig(file, () => void seen.changes++, { log, ...options });
  scope.own({ stop: () => watch.close() });
  return { seen, watch };
}

async function fileIn(scope: Scope, text = 'one') {
  const folder = await scope.folder();
  const file = join(folder, 'c.yaml');
  await writeFile(file, text);
  return { folder, file };
}

/** At once, as careful editors do: a look never finds half of it. */
async function put(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

describe('a change is seen', () => {
  it('when the file is written in place, each time', async () => {
    const scope = testScope();
    const { file } = await fileIn(scope);
    const { seen } = await watched(scope, file, { ...eventsOnly, current: 'one' });
    await writeFile(file, 'two');
    await until('the first change', () => seen.changes > 0);
    const before = seen.changes;
    await writeFile(file, 'three');
    await until('the second change', () => seen.changes > before);
  });

  it('when another file is renamed over it, and again afterwards', async () => {
    const scope = testScope();
    const { folder, file } = await fileIn(scope);
    const { seen } = await watched(scope, file, { ...eventsOnly, current: 'one' });
    for (const n of [1, 2, 3]) {
      await writeFile(join(folder, '.c.yaml.swp'), `new ${n}`);
      await rename(join(folder, '.c.yaml.swp'), file);
      await until(`change ${n}`, () => seen.changes === n);
    }
  });

  it('when Kubernetes swaps the link beside it', async () => {
    const scope = testScope();
    const folder = await scope.folder();
    for (const n of ['1', '2']) {
      await mkdir(join(folder, `..v${n}`));
      await writeFile(join(folder, `..v${n}`, 'c.yaml'), n);
    }
    await symlink('..v1', join(folder, '..data'));
    await symlink('..data/c.yaml', join(folder, 'c.yaml'));
    const { seen } = await watched(scope, join(folder, 'c.yaml'), { ...eventsOnly, current: '1' });
    await symlink('..v2', join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
    await until('the change', () => seen.changes === 1);
  });

  it('when it had changed before the watch began', async () => {
    const scope = testScope();
    const { file } = await fileIn(scope, 'two');
    const { seen } = await watched(scope, file, { ...eventsOnly, current: 'one' });
    await until('the change', () => seen.changes === 1);
  });

  it('by looking, where no event comes: the file is a link into another folder', async () => {
    const scope = testScope();
    const elsewhere = await fileIn(scope);
    const link = join(await scope.folder(), 'c.yaml');
    await symlink(elsewhere.file, link);
    const { seen } = await watched(scope, link, { debounceMs: 20, pollMs: 30, current: 'one' });
    await put(elsewhere.file, 'two');
    await until('the change', () => seen.changes === 1);
  });

  it('by looking, where the folder cannot be watched yet; that is said once', async () => {
    const scope = testScope();
    const folder = join(await scope.folder(), 'later');
    const file = join(folder, 'c.yaml');
    const { seen } = await watched(scope, file, { debounceMs: 10, pollMs: 20, current: 'one' });
    await until('the missing file to count', () => seen.changes === 1);
    expect(seen.warnings).toEqual([
      expect.stringMatching(/the folder of .*c.yaml cannot be watched \(.*\); the file is looked at every 0.02 s/),
    ]);
    await mkdir(folder);
    await put(file, 'two');
    await until('the file to be seen', () => seen.changes === 2);
    expect(seen.warnings).toHaveLength(1);
  });
});

describe('what is no change', () => {
  it('the same text, a touch, a file next door', async () => {
    const scope = testScope();
    const { folder, file } = await fileIn(scope);
    const { seen } = await watched(scope, file, { ...eventsOnly, current: 'one' });
    await put(file, 'one');
    await utimes(file, 1, 1);
    await writeFile(join(folder, 'other.yaml'), 'x');
    // A real change afterwards is the first that is told: what came before it was looked at and was none.
    await put(file, 'two');
    await until('the change', () => seen.changes === 1);
    await put(file, 'three');
    await until('the next', () => seen.changes === 2);
  });

  it('a file that is gone, or empty, for a moment', async () => {
    const scope = testScope();
    const { file } = await fileIn(scope);
    const { seen } = await watched(scope, file, { debounceMs: 3000, pollMs: 600_000, current: 'one' });
    await unlink(file);
    await writeFile(file, '');
    await put(file, 'one');
    await put(file, 'two');
    await until('the change', () => seen.changes > 0);
    expect(seen.changes).toBe(1);
  });
});

it('a file that stays away is told once, and its return too', async () => {
  const scope = testScope();
  const { file } = await fileIn(scope);
  const { seen } = await watched(scope, file, { debounceMs: 10, pollMs: 20, current: 'one' });
  await rm(file);
  await until('its absence', () => seen.changes === 1);
  await put(file, 'one');
  await until('its return', () => seen.changes === 2);
});

it('a file that stays empty is told once', async () => {
  const scope = testScope();
  const { file } = await fileIn(scope);
  const { seen } = await watched(scope, file, { debounceMs: 10, pollMs: 20, current: 'one' });
  await put(file, '');
  await until('its emptiness', () => seen.changes === 1);
  await put(file, 'two');
  await until('its text', () => seen.changes === 2);
});

it('after close nothing is told', async () => {
  const scope = testScope();
  const { file } = await fileIn(scope);
  const closed = await watched(scope, file, { debounceMs: 1, pollMs: 5, current: 'one' });
  const open = await watched(scope, file, { debounceMs: 1, pollMs: 5, current: 'one' });
  closed.watch.close();
  await put(file, 'two');
  await until('the other watch to see it', () => open.seen.changes === 1);
  await put(file, 'three');
  await until('and again', () => open.seen.changes === 2);
  expect(closed.seen.changes).toBe(0);
});

describe('several files', () => {
  it('are watched, until others are', async () => {
    const scope = testScope();
    const [{ file: a }, { file: b }] = [await fileIn(scope), await fileIn(scope)];
    let changes = 0;
    const watch = watchFiles(() => void changes++, eventsOnly);
    scope.own({ stop: () => watch.close() });
    const seen = async (file: string, text: string): Promise<void> => {
      const before = changes;
      // The first look may come after the first change.
      await until(`a change of ${text}`, async () => {
        await put(file, `${text} ${performance.now()}`);
        return changes > before;
      });
    };
    watch.watch(new Map([[a, 'one']]));
    await seen(a, 'a');
    watch.watch(new Map([[b, 'one']]));
    await seen(b, 'b');
  });

  it('also when they changed between being read and being watched', async () => {
    const scope = testScope();
    const { file } = await fileIn(scope, 'renewed meanwhile');
    let changes = 0;
    const watch = watchFiles(() => void changes++, eventsOnly);
    scope.own({ stop: () => watch.close() });
    watch.watch(new Map([[file, 'as it was read']]));
    await until('the change', () => changes === 1);
  });
});
