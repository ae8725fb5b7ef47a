import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Call, CallAnswer } from '../../src/cluster/member/contract.ts';
import type { Host } from './host.ts';
import { Minority } from './minority.ts';
import { Net } from './net.ts';
import { Queue } from './queue.ts';

type Claims = { mayRead: boolean; quorum: boolean };

/** Three members that claim what they are told to. */
function three() {
  const queue = new Queue();
  const net = new Net(queue, seededRandom(1));
  const hosts = ['a', 'b', 'c'].map((name) => {
    const claims: Claims = { mayRead: false, quorum: false };
    const body = { mayRead: () => claims.mayRead, status: () => ({ quorum: claims.quorum }) };
    const host = {
      name,
      address: name,
      body,
      awake: true,
      wokeAt: 0,
      awaySince: Number.POSITIVE_INFINITY,
      now: () => queue.now,
    };
    return { host: host as unknown as Host, claims };
  });
  const all = hosts.map(({ host }) => host);
  const covered: string[] = [];
  const minority = new Minority({ queue, net, hosts: all, voters: all, covered: (what) => covered.push(what) });
  const [a] = hosts;
  const write: Call = { kind: 'leave', forGood: false };
  const written = {
    ok: true,
    value: { kind: 'written', written: { committed: true } },
  } as unknown as CallAnswer['answer'];
  const current = {
    ok: true,
    value: { kind: 'fresh', freshness: { kind: 'current' } },
  } as unknown as CallAnswer['answer'];
  return { queue, net, minority, covered, a: a!, write, written, current };
}

const isolate = (net: Net, way: 'out' | 'in'): void => {
  for (const other of ['b', 'c']) {
    if (way === 'out') net.cut('a', other);
    else net.cut(other, 'a');
  }
};

describe('the rule that a minority refuses', () => {
  it.each(['out', 'in'] as const)('is broken by a write that was asked for behind a cut (%s)', (way) => {
    const { queue, net, minority, a, write, written } = three();
    queue.run(100);
    isolate(net, way);
    queue.run(200);
    expect(() => minority.answered(a.host, write, { askedAt: 90, answer: written })).not.toThrow();
    expect(() => minority.answered(a.host, write, { askedAt: 150, answer: written })).toThrow('without a quorum');
    net.mendAll();
    expect(() => minority.answered(a.host, write, { askedAt: 150, answer: written })).not.toThrow();
  });

  it('is not broken through one who reaches the others', () => {
    const { queue, net, minority, a, write, written } = three();
    net.cut('a', 'c');
    net.cut('c', 'a');
    queue.run(500);
    expect(() => minority.answered(a.host, write, { askedAt: 400, answer: written })).not.toThrow();
  });

  it('is broken by a current read when no lease can be alive, and by claims that last', () => {
    const { queue, net, minority, covered, a, current } = three();
    const read: Call = { kind: 'read', need: 'current' };
    queue.run(100);
    isolate(net, 'in');
    queue.run(1000);
    expect(() => minority.answered(a.host, read, { askedAt: 900, answer: current })).not.toThrow();
    queue.run(2000);
    expect(() => minority.answered(a.host, read, { askedAt: 1900, answer: current })).toThrow('without a quorum');
    expect(() => minority.stepped(a.host)).not.toThrow();
    a.claims.mayRead = true;
    queue.run(2100);
    expect(() => minority.stepped(a.host)).toThrow('may read');
    a.claims.mayRead = false;
    a.claims.quorum = true;
    queue.run(5000);
    expect(() => minority.stepped(a.host)).toThrow('claims a quorum');
    a.claims.quorum = false;
    queue.run(5100);
    minority.stepped(a.host);
    expect(covered).toContain('minority: says so');
  });
});
