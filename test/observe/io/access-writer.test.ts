import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type AccessWriter,
  type AccessWriterOptions,
  createAccessWriter,
} from '../../../src/observe/io/access-writer.ts';
import { patienceMs } from '../../helpers/poll.ts';
import { outcome } from '../fixture.ts';

let folder = '';
const writers: AccessWriter[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-access-'));
});
afterEach(async () => {
  await Promise.all(writers.splice(0).map((writer) => writer.close()));
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);

interface Told {
  readonly writer: AccessWriter;
  dropped: number;
  readonly problems: string[];
}

function create(file: string | null, change: Partial<AccessWriterOptions> = {}): Told {
  const told: Told = {
    problems: [],
    dropped: 0,
    writer: createAccessWriter({
      format: 'json',
      file,
      onDrop: (lines) => {
        told.dropped += lines;
      },
      onProblem: (message) => told.problems.push(message),
      ...change,
    }),
  };
  writers.push(told.writer);
  return told;
}

const ids = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: string }).id);
const idsIn = (name: string): string[] => ids(readFileSync(at(name), 'utf8'));
const numbers = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => String(from + i));
const writeAll = (writer: AccessWriter, all: readonly string[]): void => {
  for (const id of all) writer.write(outcome({ id }));
};

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the access writer', () => {
  it('writes every line once, in order, whole', async () => {
    const { writer, problems } = create(at('a.log'));
    writeAll(writer, numbers(5000));
    await writer.flush();
    expect(idsIn('a.log')).toEqual(numbers(5000));
    expect(problems).toEqual([]);
  });

  it('writes without being asked to, soon', async () => {
    const { writer } = create(at('a.log'), { flushAfter: 10 });
    writer.write(outcome());
    await until('the line', () => existsSync(at('a.log')) && readFileSync(at('a.log'), 'utf8') !== '');
  });

  it('appends to what is there', async () => {
    const first = create(at('a.log'));
    writeAll(first.writer, ['1']);
    await first.writer.close();
    const second = create(at('a.log'));
    writeAll(second.writer, ['2']);
    await second.writer.flush();
    expect(idsIn('a.log')).toEqual(['1', '2']);
  });

  it('goes on in a new file after the old one was moved away and reopen', async () => {
    const { writer } = create(at('a.log'));
    writeAll(writer, ['1', '2']);
    await writer.flush();
    renameSync(at('a.log'), at('a.log.1'));
    writeAll(writer, ['3']);
    await writer.flush();
    writer.reopen();
    writeAll(writer, ['4']);
    await writer.flush();
    expect(idsIn('a.log.1')).toEqual(['1', '2', '3']);
    expect(idsIn('a.log')).toEqual(['4']);
  });

  it('takes another format and file while it runs', async () => {
    const { writer } = create(at('a.log'));
    writeAll(writer, ['1']);
    await writer.flush();
    writer.set('combined', at('b.log'));
    writeAll(writer, ['2']);
    await writer.flush();
    writer.set('off', null);
    writeAll(writer, ['3']);
    await writer.flush();
    expect(idsIn('a.log')).toEqual(['1']);
    expect(readFileSync(at('b.log'), 'utf8')).toMatch(/^10\.1\.2\.3 - - \[.*\n$/);
  });

  it('makes no file when it is off, and one when it is turned on', async () => {
    const { writer } = create(at('a.log'), { format: 'off' });
    writeAll(writer, ['1']);
    await writer.flush();
    expect(() => readFileSync(at('a.log'))).toThrow('ENOENT');
    writer.set('json', at('a.log'));
    writeAll(writer, ['2']);
    await writer.flush();
    expect(idsIn('a.log')).toEqual(['2']);
  });

  it('drops and counts what is over the bound, and no other line', async () => {
    const told = create(at('a.log'), { maxBytes: 2000 });
    writeAll(told.writer, numbers(100));
    await told.writer.flush();
    const kept = idsIn('a.log');
    expect(told.dropped).toBeGreaterThan(0);
    expect(kept).toEqual(numbers(100 - told.dropped));
    writeAll(told.writer, ['later']);
    await told.writer.flush();
    expect(idsIn('a.log')).toEqual([...kept, 'later']);
  });

  it('writes nothing after close', async () => {
    const { writer } = create(at('a.log'));
    writeAll(writer, ['1']);
    await writer.close();
    writeAll(writer, ['2']);
    await writer.flush();
    expect(idsIn('a.log')).toEqual(['1']);
  });
});

describe('a file that can not be written', () => {
  it('is told once, with name and reason, and its lines are counted', async () => {
    const told = create(at('none/a.log'));
    writeAll(told.writer, numbers(3));
    await until('the problem', () => told.problems.length > 0);
    await told.writer.close();
    expect(told.problems).toEqual([
      `cannot open ${at('none/a.log')}: ENOENT: no such file or directory, open '${at('none/a.log')}'; lines wait in memory, and it is tried again each second`,
    ]);
    expect(told.dropped).toBe(3);
  });

  it('leaves the old file in use when it can not be opened again', async () => {
    const told = create(at('a.log'));
    writeAll(told.writer, ['1']);
    await told.writer.flush();
    told.writer.set('json', at('none/b.log'));
    await until('the problem', () => told.problems.length > 0);
    writeAll(told.writer, ['2']);
    await told.writer.flush();
    expect(told.problems[0]).toContain('the old file is written on');
    expect(idsIn('a.log')).toEqual(['1', '2']);
  });

  it.skipIf(process.platform !== 'linux')(
    'for a full disk loses the batch, says so once, and counts every line',
    async () => {
      const told = create('/dev/full');
      for (let round = 0; round < 3; round++) {
        writeAll(told.writer, numbers(10));
        await told.writer.flush();
      }
      expect(told.problems).toHaveLength(1);
      expect(told.problems[0]).toMatch(
        /^cannot write to \/dev\/full: ENOSPC: no space left on device, write; access log lines/,
      );
      expect(told.dropped).toBe(30);
    },
  );
});

describe.skipIf(spawnSync('mkfifo', ['--version']).status !== 0)('a pipe', () => {
  const makePipe = (): string => {
    expect(spawnSync('mkfifo', [at('pipe')]).status).toBe(0);
    return at('pipe');
  };

  const openForReading = (): number => openSync(at('pipe'), constants.O_RDONLY | constants.O_NONBLOCK);

  function readAll(fd: number): string {
    const buffer = Buffer.alloc(1 << 20);
    let text = '';
    for (;;) {
      try {
        const length = readSync(fd, buffer);
        if (length === 0) return text;
        text += buffer.toString('latin1', 0, length);
      } catch {
        return text; // empty for now
      }
    }
  }

  it('that nobody reads costs lines above the bound and holds nobody up; read again, it goes on whole', async () => {
    const path = makePipe();
    const reader = openForReading();
    const told = create(path, { maxBytes: 300_000 });
    writeAll(told.writer, numbers(3000));
    expect(told.dropped).toBeGreaterThan(0);
    const kept = 3000 - told.dropped;
    let text = '';
    await until('all lines that were kept', () => {
      text += readAll(reader);
      return text.split('\n').length - 1 === kept;
    });
    expect(ids(text)).toEqual(numbers(kept));
    writeAll(told.writer, ['later']);
    await told.writer.flush();
    expect(ids(readAll(reader))).toEqual(['later']);
    closeSync(reader);
  });

  it('without a reader does not hold up the start; lines wait for one', async () => {
    const path = makePipe();
    const told = create(path);
    writeAll(told.writer, ['1']);
    await until('the problem', () => told.problems.length > 0);
    expect(told.problems[0]).toContain('ENXIO');
    const reader = openForReading();
    let text = '';
    await until('the line', () => {
      text += readAll(reader);
      return text.endsWith('\n');
    });
    expect(ids(text)).toEqual(['1']);
    closeSync(reader);
  });

  it('whose reader is gone loses lines, counted, said once', async () => {
    const path = makePipe();
    const reader = openForReading();
    const told = create(path);
    writeAll(told.writer, ['1']);
    await told.writer.flush();
    closeSync(reader);
    writeAll(told.writer, ['2', '3']);
    await told.writer.flush();
    writeAll(told.writer, ['4']);
    await told.writer.flush();
    expect(told.problems).toHaveLength(1);
    expect(told.problems[0]).toContain('EPIPE');
    expect(told.dropped).toBe(3);
  });
});

describe('standard output', () => {
  /** Runs two-writers.ts; what its standard output got. */
  async function run(lines: number): Promise<string> {
    const child = spawn(process.execPath, [fileURLToPath(new URL('two-writers.ts', import.meta.url))], {
      env: { ...process.env, LINES: String(lines) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let text = '';
    child.stdout.setEncoding('latin1');
    for await (const chunk of child.stdout) text += String(chunk);
    expect(await ended).toBe(0);
    return text;
  }

  it('shared by two threads over a full pipe has every line whole, in order', async () => {
    const seen = ids(await run(8000));
    for (const thread of ['a', 'b']) {
      expect(seen.filter((id) => id.startsWith(thread))).toEqual(numbers(8000).map((n) => thread + n));
    }
  });
});
