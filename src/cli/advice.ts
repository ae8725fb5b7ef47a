/** What of this machine stands in a config's way: no reason to refuse it, but worth a line of `evenkeel check`. */
import { readFileSync } from 'node:fs';
import type { Config } from '../config/model.ts';

/** null = not known here, which is everywhere but on Linux. */
export interface Machine {
  readonly tcpMigrateReq: number | null;
  readonly openFiles: number | null;
}

function numberIn(file: string, form: RegExp): number | null {
  try {
    const found = form.exec(readFileSync(file, 'utf8'))?.[1];
    return found === undefined ? null : Number(found);
  } catch {
    return null;
  }
}

/** Node raises the soft limit of open files to the hard one when it starts, so that is what counts. */
export const thisMachine = (): Machine => ({
  tcpMigrateReq: numberIn('/proc/sys/net/ipv4/tcp_migrate_req', /^(\d+)/),
  openFiles: numberIn('/proc/self/limits', /^Max open files\s+\S+\s+(\d+)/m),
});

/** A client connection may hold one to a node; beside them there are listeners, logs and probes. */
const filesPerConnection = 2;
const otherFiles = 200;

export function adviceFor(config: Config, machine: Machine): string[] {
  const advice: string[] = [];
  const needed = config.limits.maxConnections * filesPerConnection + otherFiles;
  if (machine.openFiles !== null && machine.openFiles < needed) {
    advice.push(
      `limits.maxConnections: ${config.limits.maxConnections} may need ${needed} open files, and a process may have ` +
        `${machine.openFiles} here. Raise that (ulimit -n, LimitNOFILE= of systemd), or lower maxConnections.`,
    );
  }
  if (machine.tcpMigrateReq === 0 && config.listen.some(({ address }) => address.kind === 'tcp')) {
    advice.push(
      'net.ipv4.tcp_migrate_req is 0: when a reload removes a listener, connections that the kernel had queued on it ' +
        'may be reset. With sysctl -w net.ipv4.tcp_migrate_req=1 they move to another.',
    );
  }
  return advice;
}
