/**
 * Problems for a person at a terminal, and for one line of a log.
 *
 *   config.yaml:12:27: error: wieght is not a key that is known here (pools.app.nodes[1])
 *      12 |       - { url: http://10.0.0.12:3000, wieght: 2 }
 *         |                                       ^
 *         = did you mean weight?
 *
 * A file is not trusted to be printed as it is: control characters, which can steer a terminal, become `?`.
 */
import type { Problem } from './model.ts';

const codes = { error: '31;1', warning: '33;1', line: '34', hint: '36' } as const;

/** Columns of a source line that are shown; of a longer one a window around the place. */
const windowWidth = 120;

export function renderProblems(problems: readonly Problem[], { color }: { readonly color: boolean }): string {
  const paint = (code: keyof typeof codes, text: string): string =>
    color ? `\x1b[${codes[code]}m${text}\x1b[0m` : text;
  return problems.map((problem) => renderOne(problem, paint)).join('\n');
}

function renderOne(problem: Problem, paint: (code: keyof typeof codes, text: string) => string): string {
  const { severity, hint } = problem;
  let text = `${place(problem)}: ${paint(severity, severity)}: ${printable(problem.message)}${pathNote(problem)}\n`;
  const gutter = ' '.repeat(Math.max(4, String(problem.line).length));
  if (problem.line > 0 && problem.source.trim() !== '') {
    const { shown, caret } = cut(problem);
    text += `${paint('line', `${String(problem.line).padStart(gutter.length)} |`)} ${shown}\n`;
    text += `${paint('line', `${gutter} |`)} ${' '.repeat(caret)}${paint(severity, '^')}\n`;
  }
  if (hint !== null) text += `${paint('line', `${gutter} =`)} ${paint('hint', printable(hint))}\n`;
  return text;
}

/** `config.yaml:12:27: message (path); hint`: everything but the source line, on one line. */
export function problemLine(problem: Problem): string {
  const hint = problem.hint === null ? '' : `; ${problem.hint}`;
  return printable(`${place(problem)}: ${problem.message}${pathNote(problem)}${hint}`);
}

function place({ file, line, column }: Problem): string {
  return line === 0 ? printable(file) : `${printable(file)}:${line}:${column}`;
}

/** The path, unless the message begins with it already. */
function pathNote({ path, message }: Problem): string {
  return path === '' || message.startsWith(`${path} `) ? '' : ` (${printable(path)})`;
}

function cut({ source, column }: Problem): { readonly shown: string; readonly caret: number } {
  const at = Math.min(column - 1, source.length);
  const from =
    source.length <= windowWidth ? 0 : Math.max(0, Math.min(at - windowWidth / 2, source.length - windowWidth));
  const shown = printable(source.slice(from, from + windowWidth));
  const head = from > 0 ? '...' : '';
  const tail = from + windowWidth < source.length ? '...' : '';
  return { shown: head + shown + tail, caret: at - from + head.length };
}

/** One character for one, so that the caret stays right: tabs become spaces. */
function printable(text: string): string {
  return text.replace(/\t/g, ' ').replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}
