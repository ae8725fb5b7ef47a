/**
 * Variables in values: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`; `$${` stands for a plain `${`.
 *
 * They are expanded in scalars, after the YAML was read, so that no variable's value can ever become a key, a list or a
 * comment. Two things make that work:
 * - YAML would trip over `{ token: ${TOKEN:-} }`, whose braces and colons mean something to it. So before the parse the
 *   body of each `${...}` is *masked*: its special characters are swapped, one for one, for private ones that mean
 *   nothing (places stay true), and swapped back in each scalar. A file that holds such characters itself is refused.
 * - An expanded plain scalar gets its type afterwards, as YAML would give it: `${PORT:-3000}` is a number.
 *
 * `:-` also holds for a variable that is set but empty, as in a shell. Not handled: variables inside a default.
 */
import { err, ok, type Result } from '../base/result.ts';
import type { ScalarValue } from './tree.ts';

export type Env = Readonly<Record<string, string | undefined>>;

const maskBase = 0xe000;
const special = /[^\w$"'\\]/g;
export const maskedCharacter = /[\ue000-\ue07f]/;

export function mask(text: string): string {
  // The closing brace is optional in the pattern so that a line of unclosed ones is looked at once, not once for each.
  return text.replace(/\$\{[^}\r\n]*\}?/g, (variable) =>
    !variable.endsWith('}')
      ? variable
      : variable.replace(special, (c) =>
          c.charCodeAt(0) < 0x80 ? String.fromCharCode(maskBase + c.charCodeAt(0)) : c,
        ),
  );
}

export function unmask(text: string): string {
  return text.replace(/[\ue000-\ue07f]/g, (c) => String.fromCharCode(c.charCodeAt(0) - maskBase));
}

export interface Expanded {
  readonly text: string;
  readonly variables: readonly string[];
}

/** Why a value could not be expanded: the message, and a hint. */
export interface ExpandError {
  readonly message: string;
  readonly hint: string;
}

const maxExpanded = 64 * 1024;
const variableForm = /^([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?$/s;

export function expand(text: string, env: Env): Result<Expanded, ExpandError> {
  if (!text.includes('${')) return ok({ text, variables: [] });
  const variables: string[] = [];
  let result = '';
  let from = 0;
  for (let start = text.indexOf('${'); start >= 0; start = text.indexOf('${', from)) {
    if (text[start - 1] === '$' && start > from) {
      result += `${text.slice(from, start - 1)}\${`;
      from = start + 2;
      continue;
    }
    const end = text.indexOf('}', start);
    if (end < 0) return err({ message: 'a variable is not closed', hint: `write \${NAME}, or $\${ for a plain \${` });
    const value = lookUp(text.slice(start + 2, end), env);
    if (!value.ok) return value;
    variables.push(value.value.name);
    result += text.slice(from, start) + value.value.text;
    from = end + 1;
    if (result.length > maxExpanded) return err({ message: 'the expanded value is over 64 KiB', hint: 'shorten it' });
  }
  return ok({ text: result + text.slice(from), variables });
}

function lookUp(body: string, env: Env): Result<{ readonly name: string; readonly text: string }, ExpandError> {
  const form = variableForm.exec(body);
  if (!form || form[3]?.includes('${')) {
    return err({
      message: `\${${body.slice(0, 60)}} is not a variable`,
      hint: `write \${NAME}, \${NAME:-default} or \${NAME:?message}; variables inside a default are not read`,
    });
  }
  const name = form[1]!;
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (value !== undefined && (value !== '' || form[2] === undefined)) return ok({ name, text: value });
  if (form[2] === ':-') return ok({ name, text: form[3]! });
  const why = form[2] === ':?' && form[3] ? `: ${form[3]}` : '';
  return err({
    message: `the environment variable ${name} is ${value === undefined ? 'not set' : 'empty'}${why}`,
    hint: `set ${name}, or give a default: \${${name}:-...}`,
  });
}

/** The type that YAML 1.2's core schema gives to a plain scalar. */
export function typed(text: string): ScalarValue {
  const trimmed = text.trim();
  if (/^(null|Null|NULL|~|)$/.test(trimmed)) return null;
  if (/^(true|True|TRUE)$/.test(trimmed)) return true;
  if (/^(false|False|FALSE)$/.test(trimmed)) return false;
  if (/^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$/.test(trimmed)) return Number(trimmed);
  if (/^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(trimmed)) return Number(trimmed);
  return text;
}
