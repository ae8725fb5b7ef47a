/** `node process.ts CONFIG`: an evenkeel of data threads that need no engine (faulty-thread.ts), to its end. */
import { compose } from '../../src/app/compose.ts';
import { runToEnd } from '../../src/app/lifecycle.ts';

const [file = ''] = process.argv.slice(2);
const result = await compose({ file, env: {}, threadEntry: new URL('./faulty-thread.ts', import.meta.url) });
if (!result.ok) throw new Error(JSON.stringify(result.error));
process.exit(await runToEnd(result.value));
