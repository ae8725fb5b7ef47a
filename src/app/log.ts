/**
 * The process's own log, on standard error: one JSON object per line (pino), or one readable line where a person
 * looks at it (stderr is a terminal). The access log is another thing (observe).
 *
 *   12:34:56.789 warn   node app/10.0.0.11:3000 is down: 3 failed checks in a row  pool=app node=10.0.0.11:3000
 *
 * Only the control thread writes it; data threads send their events there. Writing never waits for whoever reads it
 * (stderr.ts). Control bytes in values are escaped, since values may come from
 * clients.
 */
import { isatty } from 'node:tty';
import { styleText } from 'node:util';
import { pino } from 'pino';
import type { LogConfig } from '../config/model.ts';
import { stderr } from './stderr.ts';

export type LogLevel = LogConfig['level'];
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  fatal(message: string, fields?: LogFields): void;
  setLevel(level: LogLevel): void;
  /** Writes what is kept, at once. For the last lines before the end. */
  flush(): void;
}

export interface LogOptions {
  /** Default: whether stderr is a terminal. */
  readonly readable?: boolean;
  /** Takes each line, its end included; default: standard error. */
  readonly write?: (line: string) => void;
}

export function createLog(level: LogLevel, options: LogOptions = {}): Log {
  const own = options.write === undefined ? stderr() : null;
  const write = options.write ?? ((line: string): void => own?.write(line));
  const readable = options.readable ?? (own !== null && isatty(2));
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: readable ? (line: string): void => write(readableLine(line)) : write },
  );
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    fatal: (message, fields) => logger.fatal(fields ?? {}, message),
    setLevel: (next) => {
      logger.level = next;
    },
    flush: () => own?.flush(),
  };
}

const colors = { debug: 'gray', info: 'green', warn: 'yellow', error: 'red', fatal: 'red', trace: 'gray' } as const;

/** One line of JSON made readable. What is no JSON object of ours is given back as it is. */
export function readableLine(json: string): string {
  const entry = parseEntry(json);
  if (entry === null) return json;
  const { level, time, message, ...fields } = entry;
  const name = typeof level === 'string' && level in colors ? (level as keyof typeof colors) : 'info';
  const clock = typeof time === 'string' ? time.slice(11, 23) : '';
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${word(value)}`);
  const tail = rest.length > 0 ? `  ${styleText('gray', rest.join(' '))}` : '';
  return `${styleText('gray', clock)} ${styleText(colors[name], name.padEnd(5))}  ${printable(String(message))}${tail}\n`;
}

function parseEntry(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

const word = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  return /^[^\s"=]+$/.test(text) || typeof value !== 'string' ? printable(text) : printable(JSON.stringify(text));
};

/** C0, DEL and C1 bytes can steer a terminal. */
const printable = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (c) => {
    return `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
