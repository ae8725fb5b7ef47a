/**
 * The rules of the house as functions from a source to findings (`src/x.ts:12: what`). docs/ARCHITECTURE.md says why.
 * Imports go down only; only io/, app/ and cli/ have doors to the outside world; functions and files stay short.
 */
import { importsOf, lineOf, type Source, type Syntax, walk } from './source.ts';

/** What a room may import: rooms (`base`) or single files of them (`config/model.ts`). Its own room is always allowed. */
const table: Readonly<Record<string, readonly string[]>> = {
  base: [],
  config: ['base'],
  scoreboard: ['base'],
  balancers: ['base'],
  health: ['base'],
  // The rooms of cluster/ don't see each other; the member, which is made of them, and its shell see them all.
  cluster: ['base', 'cluster/replica', 'cluster/failover/model.ts'],
  'cluster/swim': ['base'],
  'cluster/raft': ['base'],
  'cluster/failover': ['base'],
  'cluster/frames': ['base'],
  'cluster/replica': ['base', 'cluster/coordinator.ts', 'cluster/failover/model.ts'],
  'cluster/member': ['base', 'cluster', 'cluster/swim', 'cluster/raft', 'cluster/replica', 'cluster/failover'],
  'cluster/io': [
    'base',
    'scoreboard',
    'cluster',
    'cluster/swim',
    'cluster/raft',
    'cluster/replica',
    'cluster/failover',
    'cluster/frames',
    'cluster/member',
  ],
  routing: ['base', 'config/model.ts', 'balancers', 'health/contract.ts', 'scoreboard'],
  proxy: ['base', 'routing', 'balancers', 'scoreboard', 'health/breaker.ts'],
  observe: [
    'base',
    'config',
    'routing/snapshot.ts',
    'scoreboard',
    'app/messages.ts',
    'proxy/outcome.ts',
    'health/contract.ts',
  ],
  admin: [
    'base',
    'config',
    'observe/stats.ts',
    'observe/stats-model.ts',
    'routing/snapshot.ts',
    'scoreboard',
    'app/messages.ts',
    'proxy/outcome.ts',
    'health/contract.ts',
    'cluster/coordinator.ts',
    'cluster/failover/contract.ts',
    'cluster/failover/model.ts',
    'cluster/member/contract.ts',
    'cluster/replica/command.ts',
    'cluster/replica/model.ts',
    'cluster/replica/refusals.ts',
  ],
  app: [
    ...['base', 'config', 'scoreboard', 'balancers', 'health', 'routing', 'proxy', 'observe', 'admin'],
    ...['cluster', 'cluster/member', 'cluster/failover', 'cluster/replica/model.ts', 'cluster/io'],
  ],
  cli: ['base', 'config', 'scoreboard', 'balancers', 'health', 'routing', 'proxy', 'observe', 'admin', 'app'],
};

/** Packages that a room's pure part may use, since they are pure themselves. Shells may use any dependency. */
const purePackages: Readonly<Record<string, readonly string[]>> = {
  config: ['yaml', 'zod'],
  admin: ['hono'],
};

const inRoom = (path: string): string => path.replace(/^src\//, '');
/** The folder below src/; of cluster/, which is a house of its own, the one below that. */
const roomOf = (path: string): string => {
  const [first = '', second = '', ...rest] = inRoom(path).split('/');
  return first === 'cluster' && rest.length > 0 ? `${first}/${second}` : first;
};
const packageOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');

/** Has doors to the outside world: node: modules, clock, randomness, promises. */
export const isShell = (path: string): boolean => /^src\/(app|cli)\//.test(path) || /\/io\//.test(path);

export function importFindings(source: Source): string[] {
  const room = roomOf(source.path);
  const allowed = table[room];
  if (allowed === undefined) return [`${source.path}: room '${room}' is not in the import table`];
  const findings: string[] = [];
  for (const { from, target, line } of importsOf(source)) {
    const say = (what: string): void => void findings.push(`${source.path}:${line}: ${what}`);
    if (target !== null) {
      const to = inRoom(target);
      const known = roomOf(target) === room || allowed.includes(roomOf(target)) || allowed.includes(to);
      if (!target.startsWith('src/') && target.endsWith('.ts')) say(`imports ${from}, which is outside src/`);
      else if (!known && target.startsWith('src/')) say(`room '${room}' may not import ${to}`);
      if (!isShell(source.path) && isShell(target)) say(`a pure core may not import the shell ${to}`);
      if (/\.js$/.test(from) && !/import\.meta/.test(source.text)) say(`imports end in .ts, not ${from}`);
    } else if (from.startsWith('node:')) {
      if (!isShell(source.path)) say(`a pure core may not import ${from}`);
    } else if (!isShell(source.path) && !purePackages[room]?.includes(packageOf(from))) {
      say(`a pure core of '${room}' may not import the package ${from}`);
    }
  }
  return findings;
}

const forbiddenGlobals = new Set([
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'console',
  'fetch',
]);

const name = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'name' in value ? String(value.name) : '';

/** A plain name in the place of a value, not a key, a property, a type or a declaration's own member. */
function isReference(node: Syntax, parent: Syntax | null, field: string): boolean {
  if (node.type !== 'Identifier' || parent === null) return false;
  if (field === 'property' && parent['computed'] !== true) return false;
  if (field === 'key' && parent['computed'] !== true) return false;
  return !parent.type.startsWith('TS') || /^TS(As|Satisfies|NonNull)Expression$/.test(parent.type);
}

/** Clock, chance, timers, output and promises, where only shells may have them. */
export function purityFindings(source: Source): string[] {
  if (isShell(source.path)) return [];
  const findings: string[] = [];
  const say = (node: Syntax, what: string): void =>
    void findings.push(`${source.path}:${lineOf(source, node.start)}: ${what} in a pure core`);
  walk(source.program, (node, parent, field) => {
    if (isReference(node, parent, field) && forbiddenGlobals.has(name(node))) say(node, name(node));
    if (node.type === 'MemberExpression') {
      const path = `${name(node['object'])}.${name(node['property'])}`;
      if (path === 'Date.now' || path === 'Math.random') say(node, path);
    }
    const noArguments = Array.isArray(node['arguments']) && node['arguments'].length === 0;
    if (node.type === 'NewExpression' && name(node['callee']) === 'Date' && noArguments) say(node, 'new Date()');
    if (node['async'] === true) say(node, 'an async function');
    if (node.type === 'AwaitExpression') say(node, 'await');
  });
  return findings;
}

export const maxFunctionLines = 70;
export const maxFileLines = 500;

export function lengthFindings(source: Source): string[] {
  const findings: string[] = [];
  const lines = source.text.trimEnd().split('\n').length;
  if (lines > maxFileLines) findings.push(`${source.path}: ${lines} lines, more than ${maxFileLines}`);
  if (!source.path.startsWith('src/')) return findings;
  walk(source.program, (node) => {
    if (!/^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)) return;
    const first = lineOf(source, node.start);
    const length = lineOf(source, node.end) - first + 1;
    if (length > maxFunctionLines) findings.push(`${source.path}:${first}: a function of ${length} lines`);
  });
  return findings;
}

/** Types and syntax that the house does without, and tests that would silence others or themselves. */
export function syntaxFindings(source: Source): string[] {
  const findings: string[] = [];
  const say = (node: Syntax, what: string): void =>
    void findings.push(`${source.path}:${lineOf(source, node.start)}: ${what}`);
  walk(source.program, (node) => {
    if (node.type === 'TSAnyKeyword') say(node, '`any`');
    if (node.type === 'TSEnumDeclaration') say(node, 'an enum');
    if (node.type === 'TSParameterProperty') say(node, 'a parameter property');
    if (node.type === 'MemberExpression' && /^(it|test|describe)$/.test(name(node['object']))) {
      const property = name(node['property']);
      if (/^(only|skip|todo|fails)$/.test(property)) say(node, `${name(node['object'])}.${property}`);
    }
  });
  return findings;
}
