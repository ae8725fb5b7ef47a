/** The checker's own proof: it agrees with every verdict of porcupine's labelled histories. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { check } from './checker.ts';
import { parseRegister, parseTexts, registerModel, textModel } from './corpus.ts';

const folder = new URL('../../../../shared/corpora/porcupine/', import.meta.url);
const here = existsSync(new URL('verdicts.json', folder));
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8');
const verdicts = here ? (JSON.parse(read('verdicts.json')) as Readonly<Record<string, boolean>>) : {};
const files = (kind: string): [string, boolean][] =>
  Object.entries(verdicts).filter(([file]) => file.startsWith(`${kind}/`));

const where = here ? '' : ' (skipped: ../shared/corpora/porcupine is not here)';

describe.skipIf(!here)(`the checker agrees with the corpus${where}`, () => {
  it('on all 102 histories of a register', () => {
    const wrong: string[] = [];
    let operations = 0;
    for (const [file, expected] of files('jepsen')) {
      const history = parseRegister(read(`test_data/${file}`));
      operations += history.length;
      const { kind } = check(registerModel, history);
      if (kind !== (expected ? 'linearizable' : 'violation')) wrong.push(`${file}: ${kind}`);
    }
    expect(wrong).toEqual([]);
    expect(files('jepsen')).toHaveLength(102);
    expect(operations).toBeGreaterThan(8000);
  }, 60_000);

  it.each(files('kv'))(
    'on %s: %s',
    (file, expected) => {
      const history = parseTexts(read(`test_data/${file}`));
      expect(check(textModel, history).kind).toBe(expected ? 'linearizable' : 'violation');
    },
    60_000,
  );
});
