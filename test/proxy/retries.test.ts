/** Sending again: each rule is a test. */
import { describe, expect, it } from 'vitest';
import type { RetryConfig } from '../../src/config/model.ts';
import { connectFailure, type Failure, failureRules } from '../../src/proxy/errors.ts';
import { isSafe, Retries } from '../../src/proxy/retries.ts';

const config: RetryConfig = {
  attempts: 2,
  budget: 0.2,
  methods: [],
  statuses: [502, 503, 504],
  buffer: 65_536,
  backoff: 25,
};

interface Setup {
  readonly method?: string;
  readonly sent?: boolean;
  readonly continued?: boolean;
  readonly config?: Partial<RetryConfig>;
}

function retries(setup: Setup = {}): Retries {
  const made = new Retries(setup.method ?? 'GET', { ...config, ...setup.config });
  made.sent = setup.sent ?? true;
  made.continued = setup.continued ?? false;
  return made;
}

const follows = (made: Retries, failure: Failure, whole = true): string =>
  made.after(failure, failureRules[failure], whole);

describe('what may have been sent', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('is sent again for %s', (method) => {
    expect(follows(retries({ method }), 'reset')).toBe('free');
  });

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'get', 'TRACE'])('is not sent again for %s', (method) => {
    for (const failure of ['reset', 'refused', 'timeout', 'exhausted'] as const) {
      expect(follows(retries({ method }), failure)).toBe('none');
    }
  });

  it('is sent again for a method that the config names', () => {
    const made = retries({ method: 'PUT', config: { methods: ['PUT'] } });
    expect(made.repeatable).toBe(true);
    expect(follows(made, 'reset')).toBe('free');
    expect(retries({ method: 'POST', config: { methods: ['PUT'] } }).repeatable).toBe(false);
  });

  it('is not sent again if its body is no longer whole', () => {
    expect(follows(retries(), 'reset', false)).toBe('none');
  });

  it('is not sent again once the client was told 100 (Continue)', () => {
    expect(follows(retries({ continued: true }), 'reset')).toBe('none');
  });
});

describe('a write to a primary', () => {
  it.each(['GET', 'POST', 'PUT'])('is not sent again for %s, whatever the config names', (method) => {
    const made = new Retries(method, { ...config, methods: ['PUT', 'POST'], attempts: 5 }, true);
    made.sent = true;
    for (const failure of ['reset', 'refused', 'timeout', 'exhausted', 'connect-timeout'] as const)
      expect(follows(made, failure)).toBe('none');
    expect(made.afterStatus(503, method, true)).toBe(false);
    made.sent = false;
    expect(made.afterStatus(503, method, true)).toBe(false);
  });
});

describe('what was not sent', () => {
  it.each(['GET', 'POST', 'DELETE', 'X'])('goes to another node for %s, body whole or not', (method) => {
    expect(follows(retries({ method, sent: false }), 'refused')).toBe('free');
    expect(follows(retries({ method, sent: false }), 'connect-timeout', false)).toBe('paid');
  });
});

describe('the free retry', () => {
  it.each<[Failure, string]>([
    ['refused', 'free'],
    ['reset', 'free'],
    ['timeout', 'paid'],
    ['connect-timeout', 'paid'],
    ['exhausted', 'paid'],
  ])('a first %s is %s', (failure, kind) => {
    expect(follows(retries({ sent: false }), failure)).toBe(kind);
  });

  it('is one per exchange, and does not count against attempts', () => {
    const made = retries();
    expect(['reset', 'refused', 'reset'].map((failure) => follows(made, failure as Failure))).toEqual([
      'free',
      'paid',
      'none',
    ]);
  });

  it('is there after a paid one, too', () => {
    const made = retries();
    expect(follows(made, 'timeout')).toBe('paid');
    expect(follows(made, 'reset')).toBe('free');
    expect(follows(made, 'reset')).toBe('none');
  });

  it('is there with attempts: 1, which has no paid one', () => {
    const made = retries({ config: { attempts: 1 } });
    expect(follows(made, 'timeout')).toBe('none');
    expect(follows(made, 'reset')).toBe('free');
    expect(follows(made, 'reset')).toBe('none');
  });
});

it('attempts are tries in all: 4 has three paid ones', () => {
  const made = retries({ config: { attempts: 4 } });
  expect([1, 2, 3, 4].map(() => follows(made, 'timeout'))).toEqual(['paid', 'paid', 'paid', 'none']);
});

it.each<Failure>(['bad-answer', 'truncated'])('a %s is never repeated, sent or not, whatever the method', (failure) => {
  expect(follows(retries(), failure)).toBe('none');
  expect(follows(retries({ sent: false }), failure)).toBe('none');
});

describe('an answer with a listed status', () => {
  it.each<[string, number, boolean, boolean]>([
    ['GET', 503, true, true],
    ['HEAD', 502, true, true],
    ['GET', 500, true, false],
    ['GET', 200, true, false],
    ['POST', 503, true, false],
    ['GET', 503, false, false],
  ])('%s %d, body whole %s: repeated %s', (method, status, whole, repeated) => {
    expect(retries({ method }).afterStatus(status, method, whole)).toBe(repeated);
  });

  it('is not repeated for an unsafe method that may be repeated after a break', () => {
    expect(retries({ method: 'PUT', config: { methods: ['PUT'] } }).afterStatus(503, 'PUT', true)).toBe(false);
  });

  it('counts against attempts, and a status that is not listed does not', () => {
    const made = retries();
    expect(made.afterStatus(500, 'GET', true)).toBe(false);
    expect(made.afterStatus(503, 'GET', true)).toBe(true);
    expect(made.afterStatus(503, 'GET', true)).toBe(false);
  });
});

it('the pause doubles with each paid retry, and is jittered down to half', () => {
  const made = retries({ config: { attempts: 4 } });
  const pauses = [1, 2, 3].map(() => {
    follows(made, 'timeout');
    return [made.backoff(0), made.backoff(0.999999)].map(Math.round);
  });
  expect(pauses).toEqual([
    [13, 25],
    [25, 50],
    [50, 100],
  ]);
});

it.each([
  ['GET', true],
  ['HEAD', true],
  ['OPTIONS', true],
  ['POST', false],
  ['constructor', false],
])('%s is safe: %s', (method, safe) => {
  expect(isSafe(method)).toBe(safe);
});

it.each([
  ['ECONNREFUSED', 'refused'],
  ['ENOENT', 'refused'],
  ['EHOSTUNREACH', 'refused'],
  ['ENOTFOUND', 'refused'],
  [undefined, 'refused'],
  ['ETIMEDOUT', 'connect-timeout'],
  ['EMFILE', 'exhausted'],
  ['ENFILE', 'exhausted'],
  ['EADDRNOTAVAIL', 'exhausted'],
])('%s on connecting means %s', (code, failure) => {
  expect(connectFailure(code)).toBe(failure);
});

it('what is our own fault is not told of a node', () => {
  expect(failureRules.exhausted).toMatchObject({ blame: 'self', signal: null, status: 503 });
  expect(failureRules.refused).toMatchObject({ blame: 'node', signal: 'refused', status: 502 });
  expect(failureRules.timeout).toMatchObject({ status: 504, end: 'timeout' });
});
