/**
 * The words of the schema: a value's form, its bounds and what to say when it is neither.
 *
 * A message may have a second line, which becomes the hint. `x-form` is what the reference page calls the form;
 * `x-bounds` what it says of the bounds. Plain numbers reach text values as they were written (sections.ts), so a
 * duration of `5` is told that a unit is missing, and an id of `007` stays `007`.
 */
import * as z from 'zod';
import { err, ok, type Result } from '../../base/result.ts';
import {
  durationPattern,
  formatDuration,
  formatSize,
  parseDuration,
  parseShare,
  parseSize,
  sharePattern,
  sizePattern,
} from '../../base/units.ts';

/** Text that a function reads into something; its error is the message. */
export function parsed<T>(form: string, parse: (text: string) => Result<T, string>, pattern?: string) {
  return z
    .string()
    .transform((text, context): T => {
      const read = parse(text);
      if (read.ok) return read.value;
      context.issues.push({ code: 'custom', message: read.error, input: text });
      return z.NEVER;
    })
    .meta({ 'x-form': form, ...(pattern === undefined ? {} : { pattern }) });
}

export interface Bounds {
  readonly min: string;
  readonly max: string;
}

const bounded =
  (parse: (text: string) => Result<number, string>, format: (value: number) => string, { min, max }: Bounds) =>
  (text: string): Result<number, string> => {
    const read = parse(text);
    if (!read.ok) return read;
    const [low, high] = [parse(min), parse(max)];
    if (low.ok && read.value < low.value)
      return { ok: false, error: `is ${format(read.value)}, below the least of ${min}` };
    if (high.ok && read.value > high.value)
      return { ok: false, error: `is ${format(read.value)}, above the most of ${max}` };
    return read;
  };

export function duration(bounds: Bounds) {
  return parsed('duration', bounded(parseDuration, formatDuration, bounds), durationPattern).meta({
    type: ['string', 'integer'],
    'x-bounds': `${bounds.min} to ${bounds.max}`,
  });
}

export function size(bounds: Bounds) {
  return parsed('size', bounded(parseSize, formatSize, bounds), sizePattern).meta({
    type: ['string', 'integer'],
    'x-bounds': `${bounds.min} to ${bounds.max}`,
  });
}

export function share() {
  return parsed('share', parseShare, sharePattern).meta({ type: ['string', 'number'], 'x-bounds': '0% to 100%' });
}

export function whole(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .int()
    .min(min, { error })
    .max(max, { error })
    .meta({ 'x-form': 'number', 'x-bounds': `${min} to ${max}` });
}

/** Name of a file; `what` it is, for the message. */
export function file(what: string) {
  return parsed('file', (text) => (text === '' || text.includes('\0') ? err(`is not the name of ${what}`) : ok(text)));
}

export const off = z.literal(['off', false]);

/** A map with a fixed set of keys. Others are problems; the issue's message carries the keys that would have been right. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(' ') : undefined),
  });
}

/** One of something, or a list of it. Always a list afterwards. */
export function oneOrMore<T extends z.ZodType>(one: T) {
  return z.union([one.transform((value): z.output<T>[] => [value]), z.array(one)]);
}
