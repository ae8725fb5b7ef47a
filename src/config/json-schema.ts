/** config.schema.json, made from the schema: for editors that complete and check YAML while one types. */
import * as z from 'zod';
import { root } from './schema.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

export function configJsonSchema(): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(root, { io: 'input' });
  const head = {
    $schema,
    title: 'evenkeel config',
    description:
      'Config of evenkeel, a reverse proxy and load balancer. Durations and sizes carry units: 500ms, 10MiB.',
  };
  return { ...head, ...(mend(rest) as JsonSchema) };
}

/** The file's text. */
export const renderJsonSchema = (): string => `${JSON.stringify(configJsonSchema(), null, 2)}\n`;

/** A variable may stand for any scalar, so patterns and kinds give way to `${...}`; `x-` words are for our own page. */
function mend(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(mend);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => !key.startsWith('x-'));
  const inner = Object.fromEntries(entries.map(([key, one]) => [key, mend(one)]));
  return isScalarForm(inner) ? orVariable(inner) : inner;
}

const isScalarForm = ({ type, pattern, enum: words, const: word }: JsonSchema): boolean =>
  ['integer', 'number', 'boolean'].includes(String(type)) || [pattern, words, word].some((one) => one !== undefined);

function orVariable({ description, default: fallback, ...form }: JsonSchema): JsonSchema {
  return {
    ...(description === undefined ? {} : { description }),
    ...(fallback === undefined ? {} : { default: fallback }),
    anyOf: [form, { type: 'string', pattern: '\\$\\{' }],
  };
}
