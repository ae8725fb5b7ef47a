/**
 * How an attempt at a node can fail, and what follows. One table maps a failure to the status that the client gets, who is
 * to blame, and what passive health is told.
 */
import { isExhausted } from '../base/errno.ts';
import type { End, NodeSignal } from './outcome.ts';

export type Failure =
  /** The connection could not be opened: refused, unreachable, unknown name, no such socket file. */
  | 'refused'
  | 'connect-timeout'
  /** The connection broke before a byte of the answer. */
  | 'reset'
  /** The node gave no answer in time. */
  | 'timeout'
  /** The answer's status was one to retry, and no other node could be tried. */
  | 'status'
  /** What the node sent is no HTTP answer. */
  | 'bad-answer'
  /** The answer broke off or went silent after its head. */
  | 'truncated'
  /** We could not open a socket (EMFILE, no free port): not the node's fault. */
  | 'exhausted';

export interface FailureRule {
  readonly status: number;
  readonly blame: 'client' | 'node' | 'self';
  readonly retry: 'if-unsent-or-safe' | 'never';
  readonly end: End;
  readonly detail: string;
  readonly proxyError: string;
  readonly signal: NodeSignal['signal'] | null;
}

export const failureRules: Readonly<Record<Failure, FailureRule>> = {
  refused: rule(502, 'retry_exhausted', 'connection_refused', 'refused', 'The service could not be reached.'),
  'connect-timeout': rule(504, 'timeout', 'connection_timeout', 'refused', 'The service could not be reached in time.'),
  reset: rule(
    502,
    'upstream_reset',
    'connection_terminated',
    'reset',
    'The service closed the connection without an answer.',
  ),
  timeout: rule(504, 'timeout', 'http_response_timeout', 'timeout', 'The service gave no answer in time.'),
  status: {
    ...rule(502, 'retry_exhausted', 'destination_unavailable', 'timeout', 'The service failed.'),
    signal: null,
  },
  'bad-answer': {
    ...rule(502, 'bad_answer', 'http_protocol_error', 'reset', 'The service gave an answer that is not HTTP.'),
    retry: 'never',
    signal: null,
  },
  truncated: {
    ...rule(502, 'upstream_reset', 'http_response_incomplete', 'reset', 'The answer broke off.'),
    retry: 'never',
  },
  exhausted: {
    ...rule(503, 'limited', 'proxy_internal_error', 'refused', 'The proxy is out of sockets.'),
    blame: 'self',
    signal: null,
  },
};

function rule(status: number, end: End, proxyError: string, signal: NodeSignal['signal'], detail: string): FailureRule {
  return { status, blame: 'node', retry: 'if-unsent-or-safe', end, detail, proxyError, signal };
}

/** What a system error during connect means. */
export const connectFailure = (code: string | undefined): Failure =>
  isExhausted(code) ? 'exhausted' : code === 'ETIMEDOUT' ? 'connect-timeout' : 'refused';
