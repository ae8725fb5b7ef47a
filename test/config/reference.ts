/** docs/CONFIG.md, made from the schema: one table per section, with form, default, bounds and effect of each key. */
import * as z from 'zod';
import { root } from '../../src/config/schema.ts';

interface Form {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Form[];
  readonly items?: Form;
  readonly properties?: Readonly<Record<string, Form>>;
  readonly additionalProperties?: Form | boolean;
  readonly required?: readonly string[];
  readonly 'x-form'?: string;
  readonly 'x-bounds'?: string;
  readonly 'x-default'?: string;
}

const introduction = `# Config reference

<!-- Made from src/config/schema.ts. To change this page, change the schema and run: npx vitest run -u test/config -->

A config is one YAML file. \`evenkeel check -c config.yaml\` tells every problem in it at once; \`evenkeel config print\`
shows each value in force and where it came from. The least that works:

\`\`\`yaml
pools:
  app:
    nodes: [http://10.0.0.11:3000, http://10.0.0.12:3000]
\`\`\`

For completion in an editor, put this in the first line:
\`# yaml-language-server: $schema=./config.schema.json\`

## How values are written

- **Durations** carry a unit: \`500ms\`, \`2s\`, \`1m30s\`, \`1h\`, \`1d\`. Only \`0\` needs none.
- **Sizes** too: \`512B\`, \`64KiB\` (1024 bytes each), \`10MB\` (1000 x 1000 bytes).
- **Shares** are \`20%\` or \`0.2\`.
- **Variables** of the environment stand in any value: \`\${NAME}\`; \`\${NAME:-default}\` where it may be missing or empty;
  \`\${NAME:?message}\` where it must not. \`$\${\` is a plain \`\${\`. They are put in after the YAML was read, so their
  text can become a number or \`true\`, but never a key, a list or a comment. In quotes the result is always text.
- **Variables with a name of their own** need not be in the file: \`STATE_DIRECTORY\` is \`dataDir\` if the file has none;
  \`CLUSTER_NODE_ID\`, \`CLUSTER_ADDRESS\`, \`CLUSTER_PORT\`, \`CLUSTER_SEED_NODES\`, \`CLUSTER_NODE_PRIORITY\`,
  \`CLUSTER_EXPECT\`, \`CLUSTER_ZONE\`, \`CLUSTER_MODE\` and \`CLUSTER_WITNESS\` override their keys of a \`cluster\` that the
  file has; \`FAILOVER_MODE\` and its like those of a \`failover\`.
- **Keys** that are not on this page are problems: nothing is accepted and ignored.
- Anchors and aliases work; merge keys (\`<<\`), tags and several documents in one file do not. A file has at most 4 MiB.

A changed file is loaded by itself, within a few seconds at most. If it has a problem, the config in force stays.
`;

export function renderReference(): string {
  const schema = z.toJSONSchema(root, { io: 'input' }) as Form;
  const sections: string[] = [];
  describeSection('', schema, sections);
  return `${introduction}\n${sections.join('\n')}`;
}

/** A table of the section's keys, then the sections within it. `name` is the path so far. */
function describeSection(name: string, section: Form, sections: string[]): void {
  const entries = Object.entries(section.properties ?? {});
  const title = name === '' ? '## Top level' : `## \`${name}\``;
  const rows = entries.map(([key, form]) => row(key, form, section.required?.includes(key) === true));
  const text = section.description && name !== '' ? `${section.description}\n\n` : '';
  sections.push(
    `${title}\n\n${text}| key | form | default | bounds | effect |\n|---|---|---|---|---|\n${rows.join('\n')}\n`,
  );
  for (const [key, form] of entries) {
    const path = name === '' ? key : `${name}.${key}`;
    for (const { suffix, inner } of sectionsIn(form)) {
      const description = inner.description ?? form.description;
      describeSection(path + suffix, description === undefined ? inner : { ...inner, description }, sections);
    }
  }
}

/** Maps with fixed keys that a value may be or hold, each described once. */
function sectionsIn(form: Form): readonly { readonly suffix: string; readonly inner: Form }[] {
  if (form.properties) return [{ suffix: '', inner: form }];
  if (form.items) return sectionsIn(form.items).map(({ suffix, inner }) => ({ suffix: `[]${suffix}`, inner }));
  if (typeof form.additionalProperties === 'object') {
    return sectionsIn(form.additionalProperties).map(({ suffix, inner }) => ({ suffix: `.<name>${suffix}`, inner }));
  }
  const found = (form.anyOf ?? []).flatMap(sectionsIn);
  const listed = found.find(({ suffix }) => suffix !== '') ?? found[0];
  return listed ? [listed] : [];
}

function row(key: string, form: Form, required: boolean): string {
  const cells = [formOf(form), defaultOf(form, required), boundsOf(form) ?? '', form.description ?? ''];
  return `| \`${key}\` | ${cells.map(cell).join(' | ')} |`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replace(/\n/g, ' ');

function formOf(form: Form): string {
  if (form['x-form'] !== undefined) return form['x-form'];
  if (form.anyOf) return [...new Set(form.anyOf.map(formOf))].join(' or ');
  if (form.enum) return form.enum.map((value) => `\`${String(value)}\``).join(' | ');
  if (form.const !== undefined) return `\`${String(form.const)}\``;
  if (form.items) return `list of ${formOf(form.items)}`;
  if (form.properties) return 'map';
  if (typeof form.additionalProperties === 'object') return 'map of names';
  if (form.type === 'boolean') return '`true` | `false`';
  return form.type === 'null' ? 'empty' : String(form.type);
}

function defaultOf(form: Form, required: boolean): string {
  if (form['x-default'] !== undefined) return form['x-default'];
  if (required) return 'required';
  if (form.default === undefined) return 'none';
  if (form.default === null) return 'empty';
  if (Array.isArray(form.default)) return 'none';
  if (form.additionalProperties) return 'none';
  return typeof form.default === 'object' ? 'see below' : `\`${String(form.default)}\``;
}

function boundsOf(form: Form): string | null {
  if (form['x-bounds'] !== undefined) return form['x-bounds'];
  const inner = [...(form.anyOf ?? []), ...(form.items ? [form.items] : [])]
    .map(boundsOf)
    .filter((one) => one !== null);
  return inner[0] ?? null;
}
