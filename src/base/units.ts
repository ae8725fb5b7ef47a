/**
 * Durations, sizes and shares as people write them: `500ms`, `1m30s`, `10MiB`, `20%`.
 *
 * A unit is never guessed: `5` is refused, since nobody can tell whether 5 seconds or 5 milliseconds was meant. Only 0
 * needs none. Durations are whole milliseconds and sizes whole bytes; what falls between is refused, not rounded.
 * Errors are one line, made to stand behind the name of the value.
 */
import type { Bytes, Millis } from './ids.ts';
import { err, ok, type Result } from './result.ts';

const durationUnits = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const sizeUnits = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;

/** For JSON Schema and the like: what `parseDuration` and its sisters accept, but for the bounds. */
export const durationPattern = '^(0|([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+)$';
export const sizePattern = '^(0|[0-9]+(\\.[0-9]+)? ?([KMGTkmgt]?[Bb]|[KMGTkmgt][Ii][Bb]))$';
export const sharePattern = '^([0-9]+(\\.[0-9]+)?%|0(\\.[0-9]+)?|1(\\.0+)?)$';

const durationForm = new RegExp(durationPattern);
const sizeForm = new RegExp(sizePattern);
const numberForm = /^[0-9]+(\.[0-9]+)?$/;

/** `500ms`, `2s`, `1.5h`, `1m30s`, `0`. Units: ms, s, m, h, d. */
export function parseDuration(text: string): Result<Millis, string> {
  const trimmed = text.trim();
  if (trimmed.length > 40) return err('is too long for a duration such as 500ms or 2s');
  if (numberForm.test(trimmed) && Number(trimmed) !== 0) {
    return err(`has no unit: write ${trimmed}s or ${trimmed}ms`);
  }
  if (!durationForm.test(trimmed)) return err('is not a duration such as 500ms, 2s, 1m30s or 1h');
  let total = 0;
  let previous: number = Number.POSITIVE_INFINITY;
  for (const [, number, unit] of trimmed.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) {
    const scale = durationUnits[unit as keyof typeof durationUnits];
    if (scale >= previous) return err('names its units in a wrong order: write the larger one first, as in 1m30s');
    previous = scale;
    total += Number(number) * scale;
  }
  return whole(total, 'milliseconds');
}

/** `0`, `512B`, `64KiB` (1024), `1MB` (1000 x 1000). Case does not matter. */
export function parseSize(text: string): Result<Bytes, string> {
  const trimmed = text.trim();
  if (numberForm.test(trimmed) && Number(trimmed) !== 0) {
    return err(`has no unit: write ${trimmed}B, or a size such as 64KiB`);
  }
  if (trimmed.length > 40 || !sizeForm.test(trimmed)) return err('is not a size such as 512B, 64KiB or 10MiB');
  if (Number(trimmed) === 0) return ok(0);
  const unit = /[a-z]+$/i.exec(trimmed)![0].toLowerCase();
  const scale = Object.entries(sizeUnits).find(([name]) => name.toLowerCase() === unit)![1];
  return whole(Number.parseFloat(trimmed) * scale, 'bytes');
}

/** `20%` or `0.2`; a fraction from 0 to 1. */
export function parseShare(text: string): Result<number, string> {
  const trimmed = text.trim();
  const percent = trimmed.endsWith('%');
  const digits = percent ? trimmed.slice(0, -1) : trimmed;
  if (digits.length > 20 || !numberForm.test(digits)) return err('is not a share such as 20% or 0.2');
  const value = percent ? Number(digits) / 100 : Number(digits);
  if (value <= 1) return ok(value);
  return err(percent ? 'is more than 100%' : `is more than one: did you mean ${digits}%?`);
}

/** The shortest form that reads back as the same number: 90000 is `90s`, 60000 is `1m`. */
export function formatDuration(millis: Millis): string {
  if (millis === 0) return '0s';
  const unit = Object.entries(durationUnits).find(([, scale]) => millis % scale === 0);
  return unit ? `${millis / unit[1]}${unit[0]}` : `${millis}ms`;
}

/** The largest binary unit that divides it: 65536 is `64KiB`, 1000 is `1000B`. */
export function formatSize(bytes: Bytes): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'] as const) {
    if (bytes >= sizeUnits[unit] && bytes % sizeUnits[unit] === 0) return `${bytes / sizeUnits[unit]}${unit}`;
  }
  return `${bytes}B`;
}

/** 0.2 is `20%`. */
export function formatShare(share: number): string {
  return `${Number((share * 100).toPrecision(12))}%`;
}

function whole(value: number, unit: string): Result<number, string> {
  // 1.1s is 1100.0000000000002 in binary floating point; that is not what "not whole" is about.
  const rounded = Math.round(value);
  if (!Number.isSafeInteger(rounded)) return err('is too large');
  if (Math.abs(value - rounded) > 1e-6) return err(`is not a whole number of ${unit}`);
  return ok(rounded);
}
