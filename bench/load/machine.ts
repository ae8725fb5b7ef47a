/** What the machine has: tools, limits, and how busy it is. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { delimiter, join } from 'node:path';

/** Debian keeps servers in sbin, which is in no user's PATH. */
const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];

/** Path of a program, or null. */
export function find(program: string): string | null {
  for (const folder of folders) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  return null;
}

/** First line that it prints of itself, the copyright left off. */
export function versionOf(file: string, ...args: readonly string[]): string {
  try {
    const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', file, ...args], { encoding: 'utf8', timeout: 5000 });
    return (text.split('\n')[0] ?? '').replace(/ (Copyright|- https|\[).*$/, '').trim();
  } catch (error) {
    return (
      /^[^\n]*\d[^\n]*/m.exec(String((error as { stdout?: unknown }).stdout))?.[0].replace(/ (\[|Copyright).*$/, '') ??
      'unknown'
    );
  }
}

/** Open files that a process may have; children inherit it. */
export function fileLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  return Number(line?.[1] ?? 1024);
}

/**
 * Connections that a proxy can hold, with some descriptors for itself: one each while they are idle, two while they are
 * tied to one to a node. The same for all peers, so that none is measured with fewer.
 */
export const mostConnections = (descriptorsEach: 1 | 2): number => Math.floor((fileLimit() - 1000) / descriptorsEach);

export const loadAverage = (): number => Math.round(loadavg()[0]! * 100) / 100;

export function describeMachine(): Readonly<Record<string, string | number>> {
  const cores = cpus();
  return {
    processor: cores[0]?.model ?? 'unknown',
    cores: cores.length,
    kernel: release(),
    node: process.version,
    openFiles: fileLimit(),
  };
}
