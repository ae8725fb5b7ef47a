/**
 * A picture of the figure that counts: CPU per request, one group of bars per scenario, each group on a scale of its own,
 * since a 1 MiB answer costs a hundred times a small one. Dark is user, light is system; the number is both. Pure.
 */
import { number } from './report.ts';
import type { Results, ScenarioResult } from './results.ts';

const size = { width: 860, left: 170, right: 90, bar: 16, gap: 5, group: 44, top: 84 };
const colours = {
  ours: ['#0b6e4f', '#6fc2a0'],
  theirs: ['#5a6577', '#b4bdca'],
} as const;

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

interface Drawn {
  readonly text: string;
  readonly height: number;
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more}>${escaped(content)}</text>`;
}

function group(result: ScenarioResult, top: number): Drawn {
  const scale =
    (size.width - size.left - size.right) / Math.max(...result.subjects.map((one) => one.medians['cpu'] ?? 0), 1e-9);
  const parts = [text(20, top, result.title, 'class="title"')];
  result.subjects.forEach(({ label, medians }, index) => {
    const y = top + 12 + index * (size.bar + size.gap);
    const [dark, light] = index === 0 ? colours.ours : colours.theirs;
    const user = (medians['user'] ?? 0) * scale;
    const system = (medians['system'] ?? 0) * scale;
    const middle = y + size.bar - 4;
    parts.push(text(size.left - 10, middle, label, `text-anchor="end"${index === 0 ? ' class="ours"' : ''}`));
    parts.push(`<rect x="${size.left}" y="${y}" width="${user.toFixed(1)}" height="${size.bar}" fill="${dark}"/>`);
    parts.push(
      `<rect x="${(size.left + user).toFixed(1)}" y="${y}" width="${system.toFixed(1)}" height="${size.bar}" fill="${light}"/>`,
    );
    parts.push(text(Math.round(size.left + user + system + 8), middle, number(medians['cpu'] ?? Number.NaN)));
  });
  return { text: parts.join('\n'), height: result.subjects.length * (size.bar + size.gap) + size.group };
}

function legend(): string {
  const square = (x: number, colour: string): string =>
    `<rect x="${x}" y="50" width="12" height="12" fill="${colour}"/>`;
  return [
    square(20, colours.theirs[0]),
    text(38, 60, 'user'),
    square(84, colours.theirs[1]),
    text(102, 60, 'system'),
    text(164, 60, 'shorter is better; each group has its own scale', 'class="note"'),
  ].join('\n');
}

export function chart(results: Results): string {
  const shown = results.scenarios.filter((one) => one.subjects.every((subject) => 'user' in subject.medians));
  const groups: string[] = [];
  let top = size.top + 16;
  for (const result of shown) {
    const drawn = group(result, top);
    groups.push(drawn.text);
    top += drawn.height;
  }
  const note = `${results.form} form, ${results.rounds} rounds of ${results.seconds} s, ${results.machine['cores']} cores, ${results.started.slice(0, 10)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${top}" viewBox="0 0 ${size.width} ${top}" role="img" aria-label="CPU per request by proxy and scenario">
<style>
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #222b38 }
.head { font-size: 17px; font-weight: 600 }
.title { font-weight: 600; font-size: 13px }
.ours { font-weight: 600; fill: #0b6e4f }
.note { fill: #6b7686 }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
${text(20, 30, 'CPU per request, microseconds of the whole process tree', 'class="head"')}
${text(size.width - 20, 60, note, 'class="note" text-anchor="end"')}
${legend()}
${groups.join('\n')}
</svg>
`;
}
