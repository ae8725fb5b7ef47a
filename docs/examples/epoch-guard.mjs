/**
 * Refuses what belongs to an epoch that is over: 409 for a request whose X-HA-Epoch is below the highest one seen. The
 * highest is kept in a file, on disk before the request goes on, so that a restart forgets nothing.
 *
 *   const guard = epochGuard('/var/lib/app/epoch');
 *   http.createServer((request, response) => {
 *     if (!guard.admit(request, response)) return;      // answered already
 *     ...
 *   });
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

export function epochGuard(file) {
  let highest = read(file);
  const raise = (epoch) => {
    const handle = openSync(`${file}.new`, 'w', 0o600);
    writeSync(handle, String(epoch));
    sync(handle);
    renameSync(`${file}.new`, file);
    sync(openSync(dirname(file), 'r')); // the new name too: a power cut could bring the old file back
    highest = epoch;
  };
  return {
    get epoch() {
      return highest;
    },
    admit(request, response) {
      const text = request.headers['x-ha-epoch'];
      const epoch = text === undefined ? highest : /^\d{1,15}$/.test(text) ? Number(text) : -1;
      if (epoch > highest) raise(epoch);
      response.setHeader('X-HA-Epoch', highest);
      if (epoch === highest) return true;
      response.writeHead(409).end(`epoch ${text} is over: this node has seen ${highest}\n`);
      return false;
    },
  };
}

function sync(handle) {
  fsyncSync(handle);
  closeSync(handle);
}

function read(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return 0;
    throw error;
  }
}
