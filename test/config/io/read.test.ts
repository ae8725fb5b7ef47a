import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readText } from '../../../src/config/io/read.ts';
import { maxFileSize } from '../../../src/config/parse.ts';
import { testScope } from '../../helpers/scope.ts';

const file = async (bytes: string | Uint8Array): Promise<string> => {
  const name = join(await testScope().folder(), 'c.yaml');
  await writeFile(name, bytes);
  return name;
};

const refusal = async (name: string): Promise<string> => {
  const read = await readText(name);
  return read.ok ? 'was read' : read.error;
};

describe('reading a file', () => {
  it.each(['', 'a: 1\n', 'ä€😀', 'x'.repeat(200_000)])('gives its text (%#)', async (text) => {
    expect(await readText(await file(text))).toEqual({ ok: true, value: text });
  });

  it('one line says what is wrong with which file', async () => {
    const folder = await testScope().folder();
    expect(await refusal(join(folder, 'none.yaml'))).toBe(`${folder}/none.yaml does not exist`);
    expect(await refusal(folder)).toBe(`${folder} is a folder, not a file`);
    await writeFile(join(folder, 'a'), '');
    expect(await refusal(join(folder, 'a/b'))).toBe(`${folder}/a/b does not exist: a part of its path is not a folder`);
    await mkdir(join(folder, 'd'));
    expect(await refusal(join(folder, 'd\0'))).toMatch(/cannot be read/);
  });

  it('what is not UTF-8 is not guessed at', async () => {
    const name = await file(new Uint8Array([0x61, 0xff, 0x62]));
    expect(await refusal(name)).toBe(`${name} is not text in UTF-8`);
  });

  it('a sparse file of 1 GiB is refused without being read', async () => {
    const name = await file('a');
    await truncate(name, 2 ** 30);
    expect(await refusal(name)).toBe(`${name} is over ${maxFileSize / 2 ** 20} MiB; is it the right file?`);
  });

  it('a device without end too', async () => {
    expect(await refusal('/dev/zero')).toMatch(/is over 4 MiB/);
  });

  it('a file without permission says so, where the user is not root', async () => {
    const name = await file('a');
    await chmod(name, 0);
    const expected =
      process.getuid?.() === 0 ? 'was read' : `${name} may not be read by this user; check its permissions`;
    expect(await refusal(name)).toBe(expected);
  });
});
