/**
 * How an exchange ended: where it went, what it cost, who is to blame. Made once, when the exchange has settled, and only
 * if an access log is kept (proxy/io/settle.ts); `header` reads the request's head, so it must not be kept.
 */
import type { Bytes, Millis } from '../base/ids.ts';

/** One word for the log: what ended the exchange. */
export type End =
  | 'ok'
  | 'client_abort'
  | 'upstream_reset'
  | 'bad_answer'
  | 'timeout'
  | 'retry_exhausted'
  | 'limited'
  | 'no_node'
  | 'no_route'
  | 'bad_request'
  /** A write that waited for a primary, in vain. */
  | 'parked'
  /** A write whose lease ended while it was under way: whether it took effect is not known. */
  | 'cut'
  | 'internal';

export interface Outcome {
  readonly id: string;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  /** As the client sent it, with the query. Hostile text: escape it. */
  readonly target: string;
  /** `HTTP/1.1`, `HTTP/1.0`; empty if the request line could not be read. */
  readonly protocol: string;
  /** 499 if the client went away first. */
  readonly status: number;
  readonly bytesIn: Bytes;
  readonly bytesOut: Bytes;
  /** Of these, the answer's head. */
  readonly headOut: Bytes;
  readonly durationMs: Millis;
  /** Wall time at which the exchange began, ms. */
  readonly startedAt: Millis;
  readonly listener: string;
  readonly route: string;
  readonly pool: string;
  /** Id of the node that answered or was tried last; empty if none. */
  readonly node: string;
  /** -1 = a kept connection was used, or none. */
  readonly connectMs: Millis;
  /** -1 = no byte of an answer came. */
  readonly ttfbMs: Millis;
  readonly tries: number;
  /** Under which a write was sent to a primary; 0: none. */
  readonly epoch: number;
  readonly end: End;
  /** First value of a request field, for combined's Referer and User-Agent. */
  header(name: string): string | undefined;
}

/** What traffic says of a node, told to the control thread (passive health). Bounded: repeats are merged per tick. */
export interface NodeSignal {
  readonly pool: string;
  readonly node: string;
  readonly slot: number;
  readonly generation: number;
  readonly signal: 'refused' | 'reset' | 'timeout' | 'errors' | 'success' | 'failure';
  readonly detail: string;
}

/** What the engine tells the log. */
export interface EngineEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** kebab-case, stable: `request-refused`, `exchange-threw`, `listener-failed`. */
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}
