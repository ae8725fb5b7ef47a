/**
 * What a run of seeds came by: each fault, each edge of each state machine, each kind of answer. What must be reached is
 * listed; one that never was fails the run, for a simulation that does not get somewhere proves nothing about it.
 */
export class Coverage {
  readonly counts = new Map<string, number>();

  note(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  add(other: Coverage | readonly (readonly [string, number])[]): void {
    for (const [what, count] of other instanceof Coverage ? other.counts : other)
      this.counts.set(what, (this.counts.get(what) ?? 0) + count);
  }

  missing(expected: readonly string[]): readonly string[] {
    return expected.filter((what) => !this.counts.has(what));
  }

  table(): string {
    const rows = [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    return rows.map(([what, count]) => `${String(count).padStart(9)}  ${what}`).join('\n');
  }
}
