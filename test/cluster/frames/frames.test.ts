import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/base/ids.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { formatHostPort, isLoopback, parseHostPort } from '../../../src/cluster/frames/address.ts';
import { Backoff } from '../../../src/cluster/frames/backoff.ts';
import {
  counterLimit,
  datagramFrameMax,
  datagramHeaderBytes,
  greetingBytes,
  helloForm,
  proofBytes,
  putDatagramHeader,
  putGreeting,
  readDatagramHeader,
  readGreeting,
  tagBytes,
  welcomeForm,
} from '../../../src/cluster/frames/header.ts';
import { ReplayWindow, replayWindow } from '../../../src/cluster/frames/replay.ts';
import { Reporter } from '../../../src/cluster/frames/reporter.ts';

const sender = memberId('00112233445566778899aabbccddeeff');
const origin = { key: 0xbeef, cluster: '0123456789ab', sender, boot: 0xffff_fffe };

describe('headers', () => {
  it('a datagram header comes back as it went in, up to the last counter', () => {
    for (const counter of [0, 1, 2 ** 32 - 1, 2 ** 32, counterLimit - 1]) {
      const frame = new Uint8Array(datagramHeaderBytes + tagBytes);
      putDatagramHeader(frame, { ...origin, counter });
      expect(readDatagramHeader(frame)).toEqual({ ...origin, counter });
    }
  });

  it('a full datagram is a full packet under IPv6', () => {
    expect(datagramFrameMax + 8 + 40).toBe(1500);
  });

  it('says why a frame is none', () => {
    const frame = new Uint8Array(datagramHeaderBytes + tagBytes);
    putDatagramHeader(frame, { ...origin, counter: 7 });
    expect(readDatagramHeader(frame.subarray(1))).toBe('truncated');
    expect(readDatagramHeader(new Uint8Array(datagramFrameMax + 1))).toBe('oversized');
    expect(readDatagramHeader(Uint8Array.from(frame, (byte, at) => (at === 0 ? 2 : byte)))).toBe('version');
    expect(readDatagramHeader(Uint8Array.from(frame, (byte, at) => (at === 1 ? 9 : byte)))).toBe('malformed');
  });

  it('greetings come back too, and neither passes for the other', () => {
    const nonce = Uint8Array.from({ length: 32 }, (_, at) => at);
    const hello = new Uint8Array(greetingBytes);
    putGreeting(hello, helloForm, { ...origin, nonce });
    expect(readGreeting(hello, helloForm)).toEqual({ ...origin, nonce });
    expect(readGreeting(hello, welcomeForm)).toBe('malformed');
    expect(readGreeting(hello.subarray(0, 95), helloForm)).toBe('truncated');
    expect(proofBytes).toBeLessThan(greetingBytes);
  });

  it('any bytes are read or refused, never thrown at', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const read = readDatagramHeader(bytes);
        const greeting = readGreeting(bytes, helloForm);
        return [typeof read, typeof greeting].every((kind) => kind === 'string' || kind === 'object');
      }),
    );
  });
});

describe('replay window', () => {
  it('each counter is new once', () => {
    const window = new ReplayWindow();
    for (const counter of [5, 3, 4, 1029, 6]) {
      expect(window.knows(counter), String(counter)).toBe(false);
      window.mark(counter);
      expect(window.knows(counter), String(counter)).toBe(true);
    }
    expect(window.knows(5)).toBe(true);
    // The window ends 1024 behind the highest.
    expect(window.knows(1029 - replayWindow)).toBe(true);
    expect(window.knows(1029 - replayWindow + 2)).toBe(false);
  });

  it('agrees with a set of all counters, for any order with jumps', () => {
    const step = fc.oneof(fc.integer({ min: -1100, max: 1100 }), fc.constantFrom(0, 1, 2, 5000, 2 ** 33));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = 2000;
        for (const by of steps) {
          const counter = Math.max(0, highest + by);
          const top = seen.size === 0 ? -1 : Math.max(...seen);
          const known = seen.has(counter) || (seen.size > 0 && top - counter >= replayWindow);
          if (window.knows(counter) !== known) return false;
          if (!known) {
            window.mark(counter);
            seen.add(counter);
          }
          highest = Math.max(highest, counter);
        }
        return true;
      }),
    );
  });
});

describe('reporter', () => {
  it('says each thing once per peer and minute, and how often it was kept back', () => {
    const reporter = new Reporter();
    expect(reporter.note(0, '10.0.0.1:4000', 'dropped x')).toBe('10.0.0.1: dropped x');
    expect(reporter.note(10, '10.0.0.1:4001', 'dropped x')).toBeNull();
    expect(reporter.note(20, '10.0.0.1:4002', 'dropped x')).toBeNull();
    expect(reporter.note(30, '10.0.0.2:4000', 'dropped x')).toBe('10.0.0.2: dropped x');
    expect(reporter.note(40, '10.0.0.1:4000', 'dropped y')).toBe('10.0.0.1: dropped y');
    expect(reporter.note(60_000, '10.0.0.1:9', 'dropped x')).toBe(
      '10.0.0.1: dropped x (and 2 more since the last line)',
    );
  });

  it('a flood from many addresses is one line a minute beyond the bound', () => {
    const reporter = new Reporter();
    let lines = 0;
    for (let i = 0; i < 5000; i++) {
      if (reporter.note(i / 100, `10.1.${i >> 8}.${i & 255}:1`, 'dropped x') !== null) lines += 1;
    }
    expect(lines).toBe(1025);
    expect(reporter.note(120_000, '10.9.9.9:1', 'dropped x')).toBe('10.9.9.9: dropped x');
  });
});

describe('addresses and back-off', () => {
  it('takes host:port apart and puts it together', () => {
    expect(parseHostPort('10.0.0.1:7946')).toEqual({ host: '10.0.0.1', port: 7946 });
    expect(parseHostPort('[::1]:7946')).toEqual({ host: '::1', port: 7946 });
    expect(parseHostPort('node-1.example.com:1')).toEqual({ host: 'node-1.example.com', port: 1 });
    for (const wrong of ['', 'a', 'a:', ':1', 'a:65536', '::1:1', 'a b:1', 'a:1:2', 'a:-1', 'a:1\n']) {
      expect(parseHostPort(wrong), wrong).toBeNull();
    }
    expect(formatHostPort('::ffff:10.0.0.1', 80)).toBe('10.0.0.1:80');
    expect(formatHostPort('fd00::1', 80)).toBe('[fd00::1]:80');
    expect(['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'localhost'].some(isLoopback)).toBe(false);
  });

  it('backs off to half a second at most, with chance, and forgets on success', () => {
    const backoff = new Backoff(seededRandom(1));
    const waits = Array.from({ length: 20 }, () => backoff.failed());
    for (const [at, wait] of waits.entries()) {
      const bound = Math.min(500, 50 * 2 ** at);
      expect(wait).toBeGreaterThanOrEqual(bound / 2);
      expect(wait).toBeLessThanOrEqual(bound);
    }
    expect(new Set(waits.slice(5)).size).toBeGreaterThan(10);
    backoff.succeeded();
    expect(backoff.failed()).toBeLessThanOrEqual(50);
  });
});
