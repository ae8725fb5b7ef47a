/** `host:port` taken apart. IPv6 addresses stand in brackets; `::ffff:10.0.0.1`, as dual sockets say it, is 10.0.0.1. */
export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** null: not an address. Port 0 is one (of a socket that is to choose). */
export function parseHostPort(address: string): HostPort | null {
  const match = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || Number(match?.[3]) > 65_535) return null;
  return { host, port: Number(match?.[3]) };
}

export function formatHostPort(host: string, port: number): string {
  const plain = unmapped(host);
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}

/** An IPv4 address that a socket for both families shows as IPv6, as IPv4. */
export const unmapped = (host: string): string =>
  /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(host) ? host.slice(host.lastIndexOf(':') + 1) : host;

export const isLoopback = (ip: string): boolean => ip === '::1' || /^127\.\d+\.\d+\.\d+$/.test(unmapped(ip));
