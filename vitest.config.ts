import { defineConfig } from 'vitest/config';

// Three projects: `unit` is pure and parallel; `sim` too, and takes minutes; `e2e` starts real processes, one file at a time,
// so that two load tests never share the cores.
export default defineConfig({
  test: {
    // All cores: the default leaves one of two idle.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          setupFiles: ['test/setup.ts'],
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**', 'test/conformance/**', 'test/cli/**', 'test/sim/*.test.ts'],
          // Bounds for what hangs: a machine with much else to do may take ten times as long as usual.
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: { name: 'sim', include: ['test/sim/*.test.ts'], testTimeout: 300_000 },
      },
      {
        test: {
          name: 'e2e',
          setupFiles: ['test/setup.ts'],
          include: ['test/e2e/**/*.test.ts', 'test/conformance/**/*.test.ts', 'test/cli/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
