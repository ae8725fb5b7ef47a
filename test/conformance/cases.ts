/**
 * The tables of this folder (*.yaml): what they may say, and how their text becomes bytes.
 *
 *   head: lines of a head; each gets its CRLF, and the empty line behind the last one
 *   body: bytes behind the head      raw: all bytes, line breaks of the table left out
 *   \r \n \t \0 \xHH \\  as in C      {}  one of `each`      {a x 9000}  9000 times `a`
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

interface Common {
  /** Row of the checklist that it belongs to. */
  readonly row: string;
  readonly says: string;
  /** One case for each of these, put in for `{}`. */
  readonly each?: readonly string[];
  readonly head?: string;
  readonly body?: string;
  readonly raw?: string;
}

/** What a message must look like. Lines are compared with their name in any case. */
export interface Looks {
  /** The request line. */
  readonly line?: string;
  readonly has?: readonly string[];
  /** Names of fields that must be there, whatever they say. */
  readonly named?: readonly string[];
  /** Names of fields that must not be there. */
  readonly lacks?: readonly string[];
  readonly body?: string;
  readonly framing?: 'none' | 'length' | 'chunked' | 'until-close';
}

/** A client sends the bytes; the node answers each whole request with `METHOD TARGET`. */
export interface RequestCase extends Common {
  /** The client half-closes behind its bytes. */
  readonly finish?: boolean;
  /** Status of the one answer, then the connection is closed; the node has seen nothing whole of it. Or one of several. */
  readonly refused?: number | readonly number[];
  /** No answer need come; the connection ends; the node has seen nothing whole of it. */
  readonly gone?: boolean;
  /** Statuses of all answers in order. Those that are 200 come from the node. */
  readonly answers?: readonly number[];
  /** The connection is closed behind the last answer. */
  readonly closes?: boolean;
  /** The node may have got the beginning of a request: its head was good, and what came behind it was not. */
  readonly begun?: boolean;
  /** Requests at the node, in order. */
  readonly node?: readonly Looks[];
  /** The first answer at the client. */
  readonly client?: Looks;
}

/** The node sends the bytes as its answer to a plain request. */
export interface ResponseCase extends Common {
  /** Head of the request; default: GET /case with HTTP/1.1. */
  readonly request?: string;
  /** The node ends its connection behind its bytes. */
  readonly then?: 'fin' | 'reset';
  readonly status: number | string;
  /** With `status: 502`: the client's connection may be cut instead, if the head had gone out. */
  readonly orCut?: boolean;
  /** The client must see the head with `status`, and its connection cut before a whole answer. */
  readonly cut?: boolean;
  /** 1xx statuses before the final one. */
  readonly interim?: readonly number[];
  readonly client?: Looks;
  /** What became of the node's connection. */
  readonly connection: 'kept' | 'destroyed';
}

export interface Expanded<C extends Common> {
  readonly title: string;
  readonly bytes: string;
  readonly it: C;
}

/** Reads a table and gives a case per entry of its `each`. */
export function readTable<C extends Common>(name: string): Expanded<C>[] {
  const rows = parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as readonly C[];
  return rows.flatMap((row) => (row.each ?? ['']).map((value) => expand(row, value)));
}

function expand<C extends Common>(row: C, value: string): Expanded<C> {
  const put = <T>(node: T): T => {
    if (typeof node === 'string') return node.replaceAll('{}', () => value) as T;
    if (Array.isArray(node)) return node.map(put) as T;
    if (typeof node !== 'object' || node === null) return node;
    return Object.fromEntries(Object.entries(node).map(([key, one]) => [key, put(one)])) as T;
  };
  const it = put(row);
  const shown = value.length > 60 ? `${value.slice(0, 60)}...` : value;
  return { title: `${row.row} ${row.says}${row.each ? `: ${shown || '(nothing)'}` : ''}`, bytes: bytesOf(it), it };
}

function bytesOf(row: Common): string {
  if (row.raw !== undefined) return toBytes(row.raw.replaceAll('\n', ''));
  return headBytes(row.head ?? '') + toBytes((row.body ?? '').replaceAll('\n', ''));
}

/** Lines as a head: CRLF behind each, and an empty line. */
export function headBytes(lines: string): string {
  return `${lines
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => `${toBytes(line)}\r\n`)
    .join('')}\r\n`;
}

const letters: Record<string, string> = { r: '\r', n: '\n', t: '\t', '0': '\0', '\\': '\\' };

/** The bytes that a text of the tables stands for. */
export function toBytes(text: string): string {
  const repeated = text.replace(/\{([^{}]+) x (\d+)\}/g, (_, what: string, times: string) =>
    what.repeat(Number(times)),
  );
  return repeated.replace(/\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))/g, (_, hex: string | undefined, letter: string) =>
    hex === undefined ? letters[letter]! : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
