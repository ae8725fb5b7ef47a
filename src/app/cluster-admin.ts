/** Where the others find this member's admin API; empty if they can't. */
import { isLoopback } from '../config/addresses.ts';
import { isLoopbackMember, splitAddress } from '../config/cluster-words.ts';
import type { ListenAddress } from '../config/model.ts';
import { addressText } from './ports.ts';

/** `member`: where they reach the member itself. Who listens on every address of the machine listens there, too. */
export function adminFor(admin: ListenAddress | null, member: string): string {
  if (admin?.kind !== 'tcp') return '';
  if (admin.host === '0.0.0.0' || /^[0:]+$/.test(admin.host)) return `${splitAddress(member).host}:${admin.port}`;
  return isLoopback(admin) && !isLoopbackMember(member) ? '' : addressText(admin);
}
