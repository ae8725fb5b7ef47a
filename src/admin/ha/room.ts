/** What the handlers of this folder share: the cluster or a 404, the request as read, errors as answers. */
import type { Context } from 'hono';
import type { Bytes, Millis } from '../../base/ids.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { Consistency, CoordinatorError, Read, Ticket, Written } from '../../cluster/coordinator.ts';
import type { CallError } from '../../cluster/member/contract.ts';
import type { ChangeOptions } from '../changes.ts';
import { type ProblemAnswer, problemResponse } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { Asked } from './asked.ts';
import { problemOf, ticketText } from './errors.ts';

export interface HaOptions extends ChangeOptions {
  /** Calls `f` again and again; returns how to stop. */
  readonly every: (ms: Millis, f: () => void) => () => void;
}

export type Handler = (context: Context) => Response | Promise<Response>;

/** A value of 1 MiB as base64, or as a text with a few escapes. */
export const stateBodyMax: Bytes = 2 * 1024 * 1024;

const noCluster: ProblemAnswer = {
  status: 404,
  title: 'No cluster',
  detail: 'this evenkeel runs alone: its config has no `cluster:`, so it keeps no agreed state',
};

/** Nobody may take "not yet" for "there is no such key". */
const starting: ProblemAnswer = {
  status: 503,
  title: 'Starting',
  detail: 'this member has not opened its journal and its cluster address yet: ask again soon',
  extra: { reason: 'starting', retryAfterSeconds: 1 },
};

/** Wraps a handler that needs the cluster. */
export const withHa =
  (options: HaOptions, handle: (ha: HaActions, context: Context) => Response | Promise<Response>): Handler =>
  (context) => {
    const { ha } = options.actions;
    if (ha === 'starting') return problemResponse(starting);
    return ha === undefined ? problemResponse(noCluster) : handle(ha, context);
  };

export const refuse = (ha: HaActions, error: CallError): Response => problemResponse(problemOf(error, ha.status()));

/** The query alone; of a name given twice the first one. */
export const askedOf = (context: Context, body: string | null = null): Asked => new Asked(context.req.query(), body);

/** Query and body together. */
export function readAsked(
  options: HaOptions,
  context: Context,
  maxBytes?: Bytes,
): Promise<Result<Asked, ProblemAnswer>> {
  return options.readBody(context, maxBytes).then((body) => (body.ok ? ok(askedOf(context, body.value)) : body));
}

const consistencies = ['strong', 'quorum', 'eventual'] as const;
export const consistencyOf = (asked: Asked): Consistency => asked.oneOf('consistency', consistencies, 'quorum');

const ticketForm = /^(.+)\.(\d{1,16})\.(\d{1,16})$/;

/** Consistency and ticket of a write. A ticket of another member would name another's write here, so it is refused. */
export function writeOptionsOf(
  ha: HaActions,
  asked: Asked,
): { readonly consistency: Consistency; readonly ticket?: Ticket } {
  const consistency = consistencyOf(asked);
  if (!asked.has('ticket')) return { consistency };
  const match = ticketForm.exec(asked.text('ticket'));
  if (match === null) asked.fail('ticket must be as an answer gave it');
  else if (match[1] !== ha.status().uid) asked.fail('this ticket is of another member: repeat the write there');
  else return { consistency, ticket: { boot: Number(match[2]), number: Number(match[3]) } };
  return { consistency };
}

/** How fresh a read is, with the place in history that it shows. */
export const freshnessOf = <T>({ freshness, revision, index }: Read<T>): object => ({ ...freshness, revision, index });

export const writtenFacts = (ha: HaActions, written: Written<unknown>): object =>
  written.committed
    ? { committed: true, index: written.index, ticket: ticketText(ha.status().uid, written.ticket) }
    : { committed: false };

/** Settles a promise of the coordinator as a response. */
export const answered =
  <T>(ha: HaActions, good: (value: T) => Response) =>
  (result: Result<T, CoordinatorError>): Response =>
    result.ok ? good(result.value) : refuse(ha, result.error);

/** Requests that stay open, so that they never take all the connections of the API. */
export class HeldOpen {
  readonly #max: number;
  #open = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Call the value once when it is over. */
  enter(): Result<() => void, ProblemAnswer> {
    if (this.#open >= this.#max) {
      const detail = `${this.#max} watches and waits for locks are open on this member, which is the bound`;
      return err({ status: 503, title: 'Too much at once', detail, extra: { reason: 'full', retryAfterSeconds: 1 } });
    }
    this.#open += 1;
    let isOver = false;
    return ok(() => {
      if (!isOver) this.#open -= 1;
      isOver = true;
    });
  }
}
