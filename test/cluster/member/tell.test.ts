import { describe, expect, it } from 'vitest';
import { decodeWord, encodeWord } from '../../../src/cluster/member/codec.ts';
import type { Telling } from '../../../src/cluster/member/contract.ts';
import { tellBytesMax } from '../../../src/cluster/member/words.ts';
import { bytes, type Host, Lab } from './lab.ts';

/** What each host is told from now on. */
function ears(lab: Lab): Map<string, Telling[]> {
  const heard = new Map<string, Telling[]>();
  for (const host of lab.running) heard.set(host.name, listen(host));
  return heard;
}

function listen(host: Host): Telling[] {
  const told: Telling[] = [];
  const take = host.up.take.bind(host.up);
  host.up.take = () => {
    const out = take();
    told.push(...out.told);
    return out;
  };
  return told;
}

const uidOf = (lab: Lab, name: string) => lab.host(name).disk.uid;

describe('words of the rooms above', () => {
  it('go from any member to any other, once, and from whom is known', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const heard = ears(lab);
    lab.step('a', { kind: 'tell', to: uidOf(lab, 'b'), channel: 7, bytes: bytes('x') });
    lab.step('c', { kind: 'tell', to: uidOf(lab, 'a'), channel: 255, bytes: new Uint8Array() });
    lab.run(2000);
    expect(heard.get('b')).toEqual([{ from: uidOf(lab, 'a'), channel: 7, bytes: bytes('x') }]);
    expect(heard.get('a')).toEqual([{ from: uidOf(lab, 'c'), channel: 255, bytes: new Uint8Array() }]);
    expect(heard.get('c')).toEqual([]);
  });

  it('may be lost, and are not said again', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const heard = ears(lab);
    lab.cut.add('a>b');
    lab.step('a', { kind: 'tell', to: uidOf(lab, 'b'), channel: 1, bytes: bytes('x') });
    lab.run(100);
    lab.cut.clear();
    lab.run(3000);
    expect(heard.get('b')).toEqual([]);
  });

  it('are bounded, and never go to ourselves or to who does not belong', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const heard = ears(lab);
    const to = uidOf(lab, 'b');
    lab.step('a', { kind: 'tell', to, channel: 1, bytes: new Uint8Array(tellBytesMax) });
    lab.step('a', { kind: 'tell', to, channel: 2, bytes: new Uint8Array(tellBytesMax + 1) });
    lab.step('a', { kind: 'tell', to: uidOf(lab, 'a'), channel: 3, bytes: bytes('x') });
    lab.run(500);
    expect(heard.get('b')!.map(({ channel }) => channel)).toEqual([1]);
    expect(heard.get('a')).toEqual([]);
    expect(lab.host('a').up.status().refused.get('own word too long')).toBe(1);
  });

  it('one that is longer than may be is no word at all', () => {
    const head = { cluster: '', run: 1, commands: 2, leaseless: false };
    const word = { kind: 'tell', channel: 1, bytes: new Uint8Array(tellBytesMax + 1) } as const;
    const speaker = { id: uidOf(Lab.of(1), 'a'), boot: 1 };
    expect(decodeWord(encodeWord(head, word), speaker)).toEqual({ ok: false, error: 'malformed' });
  });

  it('of a member that was removed are not heard', () => {
    const lab = Lab.of(3);
    lab.start();
    const leader = lab.form();
    const [gone, other] = lab.followers();
    // It does not learn of its removal, and goes on talking.
    lab.cut.add(`${leader.name}>${gone!.name}`).add(`${other!.name}>${gone!.name}`);
    expect(lab.answer(leader.name, { kind: 'change', change: 'remove', member: gone!.name }).ok).toBe(true);
    lab.run(500);
    const heard = ears(lab);
    lab.step(gone!.name, { kind: 'tell', to: uidOf(lab, leader.name), channel: 1, bytes: bytes('x') });
    lab.run(100);
    expect(heard.get(leader.name)).toEqual([]);
    expect(leader.up.status().refused.get('told by who does not belong')).toBe(1);
  });
});
