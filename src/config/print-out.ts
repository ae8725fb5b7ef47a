/** The values that `config print` writes: leaves, maps and lists of them, as YAML that reads back as the same. */
import { formatDuration, formatShare, formatSize } from '../base/units.ts';
import { typed } from './expand.ts';

export interface Leaf {
  readonly kind: 'leaf';
  readonly text: string;
  /** A short form above it means this value. */
  readonly short: boolean;
}
export type Entries = readonly (readonly [key: string, value: Out] | null)[];
export type Out =
  | Leaf
  | { readonly kind: 'map'; readonly entries: Entries }
  | { readonly kind: 'list'; readonly items: readonly Out[] };

export const redacted = '"<redacted>"';
const secretName = /authorization|cookie|token|secret|password|api-?key|credential/i;

export const map = (entries: Entries): Out => ({ kind: 'map', entries });
export const list = (items: readonly Out[]): Out => ({ kind: 'list', items });
export const leaf = (value: string | number | boolean): Leaf => ({ kind: 'leaf', text: String(value), short: false });
export const text = (value: string): Leaf => leaf(quote(value));
/** The short form of what is around it. */
export const short = (value: string): Leaf => ({ ...text(value), short: true });
export const duration = (value: number): Leaf => leaf(formatDuration(value));
export const size = (value: number): Leaf => leaf(formatSize(value));
export const shareLeaf = (value: number): Leaf => leaf(formatShare(value));
export const texts = (values: Readonly<Record<string, string>>): Out =>
  map(Object.entries(values).map(([key, value]) => [key, text(value)]));
export const secretText = (name: string, value: string): Leaf => (secretName.test(name) ? leaf(redacted) : text(value));

/** As a YAML scalar that reads back as this text. */
export function quote(value: string): string {
  const escaped = value.replaceAll('${', () => '$${');
  const isPlain = /^[\w/][\w./:%-]*$/.test(escaped) && !escaped.endsWith(':') && typeof typed(escaped) === 'string';
  return isPlain ? escaped : JSON.stringify(escaped);
}
