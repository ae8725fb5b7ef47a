/**
 * The rules of the house, held by a test: what may import what, where the outside world may be touched, how long a
 * function or a file may be, and that nothing lies about (files that nobody imports, links that lead nowhere).
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  importFindings,
  lengthFindings,
  maxFileLines,
  maxFunctionLines,
  purityFindings,
  syntaxFindings,
} from './tidy/rules.ts';
import { filesUnder, importsOf, parse, readSource, root, textOf } from './tidy/source.ts';

const sources = filesUnder('src', ['.ts']).map(readSource);
const others = ['test', 'bench'].flatMap((folder) => filesUnder(folder, ['.ts'])).map(readSource);
const documents = filesUnder('.', ['.md']);

describe('the rules find what they are for', () => {
  const core = (text: string) => parse('src/routing/x.ts', text);

  it('imports that go up, into shells, or to the outside world', () => {
    expect(importFindings(core(`import { a } from '../proxy/outcome.ts';`))).toHaveLength(1);
    expect(importFindings(core(`export * from '../config/load.ts';`))).toHaveLength(1);
    expect(importFindings(core(`import type { A } from './io/a.ts';`))).toHaveLength(1);
    expect(importFindings(core(`import fs from 'node:fs';`))).toHaveLength(1);
    expect(importFindings(core(`const a = import('undici');`))).toHaveLength(1);
    expect(importFindings(core(`import { ok } from '../base/result.ts';\nconst s = "import 'node:fs'";`))).toEqual([]);
    expect(importFindings(parse('src/nowhere/x.ts', ''))).toHaveLength(1);
  });

  it('clocks, chance, timers and promises in a core', () => {
    const impure = [
      'Date.now()',
      'performance.now()',
      'Math.random()',
      'new Date()',
      'setTimeout(f, 1)',
      '{ setTimeout }',
    ];
    for (const code of impure) expect(purityFindings(core(`const x = ${code};`)), code).toHaveLength(1);
    expect(purityFindings(core('const f = async () => { await g(); };'))).toHaveLength(2);
    const pure = 'const x = { fetch: 1, b: y.process }; const d = new Date(5); // Date.now()\n`a setTimeout`;';
    expect(purityFindings(core(pure))).toEqual([]);
    expect(purityFindings(parse('src/health/io/x.ts', 'Date.now()'))).toEqual([]);
  });

  it('functions and files that are too long', () => {
    const body = 'f();\n'.repeat(maxFunctionLines - 1);
    expect(lengthFindings(core(`function f() {\n${body}}`))).toHaveLength(1);
    expect(lengthFindings(core(`const f = () => {\n${body.slice(5)}};`))).toEqual([]);
    expect(lengthFindings(core('f();\n'.repeat(maxFileLines + 1)))).toHaveLength(1);
  });

  it('any, enums, parameter properties, silenced tests', () => {
    for (const code of ['let a: any;', 'enum A { B }', 'class A { constructor(readonly b: 1) {} }', 'it.only();']) {
      expect(syntaxFindings(core(code)), code).toHaveLength(1);
    }
    expect(syntaxFindings(core('let any: unknown; // any\n"it.only"; it.skipIf(x)("", f);'))).toEqual([]);
  });
});

describe('src', () => {
  it('imports go down only', () => {
    expect(sources.flatMap(importFindings)).toEqual([]);
  });

  it('cores are pure: no clock, no chance, no timer, no promise', () => {
    expect(sources.flatMap(purityFindings)).toEqual([]);
  });

  it('every file is imported by another, entry points excepted', () => {
    const entries = new Set([
      'src/cli/bin.ts',
      'src/cli/main.ts',
      // An engine of its own for development and tests: it keeps the Coordinator's contract, and nobody needs it to run.
      'src/cluster/replica/local.ts',
      // Backup and restore of the agreed state, with the journal's tests.
      'src/cluster/io/backup.ts',
    ]);
    const imported = new Set(sources.flatMap((source) => importsOf(source).map((one) => one.target)));
    const orphans = sources.map((source) => source.path).filter((path) => !imported.has(path) && !entries.has(path));
    expect(orphans).toEqual([]);
  });
});

describe('src, test and bench', () => {
  it(`functions have at most ${maxFunctionLines} lines, files ${maxFileLines}`, () => {
    expect([...sources, ...others].flatMap(lengthFindings)).toEqual([]);
  });

  it('no any, no enum, no parameter property, no test that is switched off', () => {
    expect([...sources, ...others].flatMap(syntaxFindings)).toEqual([]);
  });
});

describe('documents', () => {
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  const anchors = (path: string): Set<string> =>
    new Set([...textOf(path).matchAll(/^#+ +(.*)$/gm)].map((match) => slug(match[1] ?? '')));
  const leadsNowhere = (from: string, link: string): boolean => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? from : join(dirname(from), file);
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && target.endsWith('.md') && !anchors(target).has(anchor);
  };

  it('links lead somewhere', () => {
    const broken = documents.flatMap((path) =>
      [...textOf(path).matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1] ?? '')
        .filter((link) => leadsNowhere(path, link))
        .map((link) => `${path}: ${link}`),
    );
    expect(broken).toEqual([]);
  });
});

describe('the tree speaks of itself alone', () => {
  const texts = [
    ...['src', 'docs', 'bench', 'deploy', '.ci'].flatMap((folder) => filesUnder(folder, [''])),
    ...filesUnder('.', ['.md', '.yaml', '.json']),
  ];

  it('no path of one machine, no host of a package registry', () => {
    const paths = ['work', 'root', 'tmp', 'home'].map((folder) => `/${folder}/`).join('|');
    const forbidden = new RegExp(`(?<![\\w.])(${paths})|//[\\w.-]*registry[\\w.-]*[:/]|npmjs\\.|"resolved": "http`);
    const found = [...new Set(texts)].flatMap((path) =>
      textOf(path)
        .split('\n')
        .flatMap((line, index) => (forbidden.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
    );
    expect(found).toEqual([]);
  });

  it('the lock file says what, not from where', () => {
    expect(textOf('package-lock.json')).not.toContain('"resolved": "http');
  });
});
