import { describe, expect, it } from 'vitest';
import { createLog, readableLine } from '../../src/app/log.ts';

function captured(level: 'debug' | 'warn', readable: boolean) {
  const lines: string[] = [];
  const log = createLog(level, { readable, write: (line) => void lines.push(line) });
  return { log, lines };
}

/** Without colours. */
const plain = (line: string): string => line.replace(/\u001b\[\d+m/g, '');

describe('log', () => {
  it('is one JSON object per line, with time, level, message and fields', () => {
    const { log, lines } = captured('debug', false);
    log.warn('node down', { pool: 'app', evil: 'a\nb\u001b[2J' });
    expect(lines).toHaveLength(1);
    expect(lines[0]).not.toContain('\u001b');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'warn',
      message: 'node down',
      pool: 'app',
      evil: 'a\nb\u001b[2J',
    });
    expect(JSON.parse(lines[0]!).time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('leaves out what is below its level, which can be changed', () => {
    const { log, lines } = captured('warn', false);
    log.info('no');
    log.setLevel('debug');
    log.debug('yes');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['yes']);
  });

  it('is readable where a person looks at it', () => {
    const { log, lines } = captured('debug', true);
    log.error('cannot listen', { code: 'EADDRINUSE', why: 'two words', list: [1, 2] });
    expect(plain(lines[0]!)).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} error {2}cannot listen {2}code=EADDRINUSE why="two words" list=\[1,2\]\n$/,
    );
  });

  it('escapes what could steer a terminal', () => {
    const line = plain(
      readableLine(JSON.stringify({ level: 'info', time: '', message: 'a\u001b]0;x\u0007\u009b', k: '\u0085' })),
    );
    expect(line).toContain('a\\x1b]0;x\\x07\\x9b');
    expect(line).toContain('k=\\x85');
  });

  it('passes on what is no entry of its own', () => {
    expect(readableLine('plain text\n')).toBe('plain text\n');
    expect(readableLine('17\n')).toBe('17\n');
  });
});
