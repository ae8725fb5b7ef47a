/** A rule was broken. The first one ends a run. */
export class Breach extends Error {
  override readonly name = 'Breach';
  readonly rule: string;

  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`);
    this.rule = rule;
  }
}
