/** What this member sees of the cluster, and what may be done to its members. Each deed is a line of the audit log. */
import type { Context } from 'hono';
import type { MemberStatus } from '../../cluster/member/contract.ts';
import { audited, type Ended, refused } from '../changes.ts';
import { json, printable, problemResponse } from '../problem.ts';
import type { Called, HaActions, MemberChange, NetShown } from './actions.ts';
import { Asked } from './asked.ts';
import { problemOf } from './errors.ts';
import { askedOf, freshnessOf, type HaOptions } from './room.ts';

/** A view of this member, with how long ago it heard a leader. */
export function see(
  ha: HaActions,
  context: Context,
  shown: (status: MemberStatus, net: NetShown) => object,
): Response | Promise<Response> {
  const wrong = askedOf(context).wrong();
  if (wrong !== null) return problemResponse(wrong);
  return ha.coordinator.kv.get('', { consistency: 'eventual' }).then((read) => {
    const freshness = read.ok ? freshnessOf(read.value) : { kind: 'local', ageMs: null };
    return json({ ...shown(ha.status(), ha.net()), freshness });
  });
}

interface Deed {
  readonly action: string;
  /** Reads what is asked for; what is wrong with it is the answer. */
  readonly read: (asked: Asked) => { readonly value: string; readonly call: () => Called; readonly done: object };
}

function deed(options: HaOptions, { ha, context }: Where, { action, read }: Deed): Promise<Response> {
  const change = (body: string): Ended | Promise<Ended> => {
    const asked = new Asked({}, body);
    const { value, call, done } = read(asked);
    const wrong = asked.wrong();
    if (wrong !== null) return refused(wrong, value);
    return call().then((called): Ended => {
      if (called.ok) return { result: 'done', value, answer: json(done) };
      return { result: 'failed', value, problem: problemOf(called.error, ha.status()) };
    });
  };
  return audited(options, context, { action, target: 'cluster', change });
}

interface Where {
  readonly ha: HaActions;
  readonly context: Context;
}

export const transfer = (options: HaOptions, where: Where): Promise<Response> =>
  deed(options, where, {
    action: 'transfer',
    read: (asked) => {
      const to = asked.has('to') && asked.any('to') !== null ? asked.text('to') : null;
      return {
        value: to === null ? 'to the fittest' : `to ${printable(to, 100)}`,
        call: () => where.ha.transfer(to),
        done: { transfer: to },
      };
    },
  });

export const leave = (options: HaOptions, where: Where): Promise<Response> =>
  deed(options, where, {
    action: 'leave',
    read: (asked) => {
      const forGood = asked.flag('forGood', true);
      return {
        value: forGood ? 'for good' : 'for a while',
        call: () => where.ha.leave({ forGood }),
        done: { left: true, forGood },
      };
    },
  });

const changes = ['add', 'promote', 'remove'] as const;

export const changeMembers = (options: HaOptions, where: Where): Promise<Response> =>
  deed(options, where, {
    action: 'members',
    read: (asked) => {
      const named = changes.filter((one) => asked.has(one));
      const [change = 'add'] = named;
      if (named.length !== 1) asked.fail('say one of add, promote and remove, with the name of a member');
      const wish: MemberChange = { change, member: asked.text(change), force: asked.flag('force', false) };
      return {
        value: `${change} ${printable(wish.member, 100)}${wish.force ? ' by force' : ''}`,
        call: () => where.ha.change(wish),
        done: wish,
      };
    },
  });
