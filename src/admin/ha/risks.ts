/** What the cluster as it is now could not survive: how many vote, and what the voters share their fate with. */
import type { MemberLine, MemberStatus } from '../../cluster/member/contract.ts';

const quorumOf = (voters: number): number => Math.floor(voters / 2) + 1;

/** As many of them in one place as leave no quorum without it. */
function shared(voters: readonly MemberLine[], placeOf: (line: MemberLine) => string): readonly [string, number][] {
  const counts = new Map<string, number>();
  for (const voter of voters) {
    const place = placeOf(voter);
    if (place !== '') counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  const { length } = voters;
  return [...counts].filter(([, count]) => count > 1 && length - count < quorumOf(length));
}

const hostOf = ({ address }: MemberLine): string => address.replace(/:\d+$/, '');
const isLoopback = (host: string): boolean => /^127\.|^\[::1\]$|^localhost$/.test(host);

/** One sentence each; none if the loss of any one member, machine and zone is survived. */
export function risksOf({ members }: MemberStatus): readonly string[] {
  const voters = members.filter(({ seat }) => seat === 'voter');
  const { length } = voters;
  const risks: string[] = [];
  if (length === 2) risks.push('2 voters survive the loss of neither: add a witness as the third');
  else if (length > 0 && length % 2 === 0)
    risks.push(
      `${length} voters survive the loss of ${length / 2 - 1}, no more than ${length - 1} do: add or remove one`,
    );
  const say = (what: string, shares: readonly [string, number][]): void => {
    for (const [place, count] of shares) {
      const which = count === length ? `all ${length}` : `${count} of ${length}`;
      risks.push(`${which} voters are ${what} ${place}: with it the quorum is lost, and nothing can be agreed`);
    }
  };
  say(
    'in zone',
    shared(voters, ({ metadata }) => metadata?.zone ?? ''),
  );
  say(
    'on machine',
    shared(voters, (line) => (isLoopback(hostOf(line)) ? '' : hostOf(line))),
  );
  return risks;
}
