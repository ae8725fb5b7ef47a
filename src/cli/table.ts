/** Text tables and colours for people. Colours only where the stream is a terminal that wants them. */
import { styleText } from 'node:util';

export type Colour = 'green' | 'yellow' | 'red' | 'dim' | 'bold';

export interface Cell {
  readonly text: string;
  readonly colour?: Colour;
  readonly right?: boolean;
}

/** Colours text for standard output; leaves it alone in a pipe, under NO_COLOR, or in a terminal without colours. */
export const coloured = (text: string, colour: Colour | undefined): string =>
  colour === undefined ? text : styleText(colour, text, { stream: process.stdout });

/** Columns as wide as their widest cell, two spaces between them, the last one not padded. */
export function drawTable(rows: readonly (readonly Cell[])[], indent = ''): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => row[i]?.text.length ?? 0)));
  const draw = (cell: Cell, column: number, last: boolean): string => {
    const width = widths[column] ?? 0;
    const padding = ' '.repeat(width - cell.text.length);
    const text = coloured(cell.text, cell.colour);
    if (cell.right === true) return padding + text;
    return last ? text : text + padding;
  };
  return rows
    .map((row) => (indent + row.map((cell, i) => draw(cell, i, i === row.length - 1)).join('  ')).trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}
