/** `node src/cli/main.ts ARGS`: the CLI from a checkout, unbuilt. The published package enters by bin.ts itself. */
import './bin.ts';
