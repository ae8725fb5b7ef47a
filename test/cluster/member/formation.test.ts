import { describe, expect, it } from 'vitest';
import { Lab, textAt } from './lab.ts';

describe('formation', () => {
  it('three members form one cluster within 3 s, in whatever order they start', () => {
    for (const order of ['abc', 'cba', 'bac', 'cab']) {
      const lab = Lab.of(3);
      for (const name of order) {
        lab.start(name);
        lab.run(300);
      }
      lab.form();
      const ids = new Set(lab.running.map(({ up }) => up.status().cluster));
      expect(ids.size).toBe(1);
      for (const { up } of lab.running) expect(up.status().raft?.config.voters).toHaveLength(3);
      expect(lab.set('a', 'k', order)).toMatchObject({ ok: true });
      expect(lab.run(1000, () => lab.running.every((host) => textAt(host, 'k') === order))).toBe(true);
    }
  });
});
