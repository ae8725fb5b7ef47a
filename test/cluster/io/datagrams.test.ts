import { createSocket, type Socket } from 'node:dgram';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { DatagramOpener, DatagramSealer, firstCounter } from '../../../src/cluster/io/datagrams.ts';
import { clusterTag, Keyring, parseClusterKeys } from '../../../src/cluster/io/keyring.ts';
import { closeHosts, type Host, host, secret, text, uid, until } from './hosts.ts';

const tag = clusterTag('one');
const sealer = (
  n: number,
  options: { secrets?: Uint8Array[]; boot?: number; cluster?: string; counter?: number } = {},
) =>
  new DatagramSealer({
    keys: new Keyring(options.secrets ?? [secret(1)]),
    self: { id: uid(n), boot: options.boot ?? 1 },
    cluster: clusterTag(options.cluster ?? 'one'),
    counter: options.counter ?? 0,
  });
const opener = (secrets = [secret(1)]) =>
  new DatagramOpener({ keys: new Keyring(secrets), self: { id: uid(1), boot: 1 }, cluster: tag });
const payload = Buffer.from('ping');
const reasonOf = (result: ReturnType<DatagramOpener['open']>): string => (result.ok ? 'opened' : result.error.reason);

describe('sealed datagrams', () => {
  it('come back with who sealed them', () => {
    const result = opener().open(sealer(2, { boot: 7, counter: 9 }).seal(payload)!);
    expect(result).toMatchObject({ ok: true, value: { sender: uid(2), boot: 7, counter: 9, cluster: tag } });
    expect(result.ok && text(result.value.payload)).toBe('ping');
  });

  it('each changed bit is found', () => {
    const frame = sealer(2).seal(payload)!;
    for (let bit = 0; bit < frame.byteLength * 8; bit++) {
      const flipped = Buffer.from(frame);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const expected = bit < 8 ? 'version' : bit < 16 ? 'malformed' : bit < 32 ? 'key' : 'forged';
      expect(reasonOf(opener().open(flipped)), `bit ${bit}`).toBe(expected);
    }
  });

  it('each is accepted once, in any order, and a forged frame does not move the window', () => {
    const a = sealer(2);
    const frames = Array.from({ length: 50 }, () => a.seal(payload)!);
    const reader = opener();
    const far = sealer(2, { counter: 100_000 }).seal(payload)!;
    far[far.byteLength - 1]! ^= 1;
    expect(reasonOf(reader.open(far))).toBe('forged');
    for (const frame of [...frames].reverse()) expect(reasonOf(reader.open(frame))).toBe('opened');
    for (const frame of frames) expect(reasonOf(reader.open(frame))).toBe('replayed');
  });

  it('an earlier boot is dropped, a later one begins anew', () => {
    const reader = opener();
    const old = sealer(2, { boot: 1 });
    expect(reasonOf(reader.open(old.seal(payload)!))).toBe('opened');
    expect(reasonOf(reader.open(sealer(2, { boot: 2 }).seal(payload)!))).toBe('opened');
    expect(reasonOf(reader.open(old.seal(payload)!))).toBe('boot');
    const remembering = new DatagramOpener({
      ...{ keys: new Keyring([secret(1)]), self: { id: uid(1), boot: 1 }, cluster: tag },
      boots: new Map([[uid(2), 5]]),
    });
    expect(reasonOf(remembering.open(sealer(2, { boot: 4 }).seal(payload)!))).toBe('boot');
    expect(reasonOf(remembering.open(sealer(2, { boot: 5 }).seal(payload)!))).toBe('opened');
  });

  it('other clusters are dropped; who has none yet is heard', () => {
    expect(reasonOf(opener().open(sealer(2, { cluster: 'two' }).seal(payload)!))).toBe('cluster');
    expect(reasonOf(opener().open(sealer(2, { cluster: '' }).seal(payload)!))).toBe('opened');
    expect(opener().open(sealer(2, { cluster: 'two' }).seal(payload)!)).toMatchObject({
      error: { sender: uid(2), cluster: clusterTag('two') },
    });
  });

  it('a key is changed in three steps without a frame lost', () => {
    const steps = [[secret(1)], [secret(1), secret(2)], [secret(2), secret(1)], [secret(2)]];
    const reader = opener();
    for (let at = 0; at < steps.length; at++) {
      for (const other of [at - 1, at, at + 1]) {
        const secrets = steps[other];
        if (secrets === undefined) continue;
        reader.use(new Keyring(steps[at]!), tag);
        const frame = sealer(2, { secrets, counter: 100 * at + 10 * other + 10 }).seal(payload)!;
        expect(reasonOf(reader.open(frame)), `${at} hears ${other}`).toBe('opened');
      }
    }
    expect(reasonOf(reader.open(sealer(2, { secrets: [secret(1)], counter: 5000 }).seal(payload)!))).toBe('key');
  });

  it('a counter is never used twice, also by the sealer of the next start', () => {
    const a = sealer(2, { counter: firstCounter(1_700_000_000_000) });
    const first = a.counter;
    for (let i = 0; i < 100; i++) a.seal(payload);
    expect(a.counter).toBe(first + 100);
    expect(firstCounter(1_700_000_000_007)).toBeGreaterThan(a.counter);
  });

  it('what is too large is not sealed', () => {
    expect(sealer(2).seal(new Uint8Array(1400))?.byteLength).toBe(1452);
    expect(sealer(2).seal(new Uint8Array(1401))).toBeNull();
  });
});

describe('keys', () => {
  it('are read as base64 or hexadecimal digits, or refused with what to do', () => {
    const key = Buffer.from(secret(7));
    for (const form of ['base64', 'base64url', 'hex'] as const) {
      expect(parseClusterKeys([key.toString(form)])).toEqual({ ok: true, value: [key] });
    }
    const refused = (...texts: string[]): string => {
      const result = parseClusterKeys(texts);
      return result.ok ? 'accepted' : result.error;
    };
    expect(refused('c2hvcnQ=')).toMatch(/has 5 bytes, at least 32 .*`openssl rand -base64 32`/);
    expect(refused('not base64!')).toMatch(/not base64/);
    expect(refused(key.toString('base64'), key.toString('hex'))).toMatch(/cluster key 2 is there twice/);
    expect(refused(...Array.from({ length: 9 }, () => 'x'))).toMatch(/at most 8/);
    expect(refused(`secret-secret!${'x'.repeat(40)}`)).not.toMatch(/secret-secret/);
  });
});

describe('hostile datagrams at a real socket', () => {
  let udp: Socket | null = null;
  afterEach(async () => {
    udp?.close();
    udp = null;
    await closeHosts();
  });

  /** Everything that ever came back to the attacker. */
  const attacker = async (): Promise<{ send: (to: Host, frame: Uint8Array) => void; answers: Buffer[] }> => {
    const socket = createSocket('udp4');
    udp = socket;
    const answers: Buffer[] = [];
    socket.on('message', (frame) => void answers.push(frame));
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return { answers, send: (to, frame) => socket.send(frame, Number(to.address.split(':')[1]), '127.0.0.1') };
  };

  it('each kind is dropped, counted by its reason, reported once, and not answered', async () => {
    const a = await host(1);
    const evil = await attacker();
    const good = sealer(2).seal(payload)!;
    const flipped = Buffer.from(good);
    flipped[40]! ^= 1;
    const hostile: [string, Uint8Array][] = [
      ['truncated', good.subarray(0, 51)],
      ['truncated', new Uint8Array(0)],
      ['oversized', new Uint8Array(60_000)],
      ['version', Buffer.concat([Buffer.from([2]), good.subarray(1)])],
      ['malformed', Buffer.concat([Buffer.from([1, 7]), good.subarray(2)])],
      ['key', sealer(2, { secrets: [secret(9)] }).seal(payload)!],
      ['forged', flipped],
      ['cluster', sealer(2, { cluster: 'two' }).seal(payload)!],
      ['reflected', sealer(1, { counter: 2 ** 40 }).seal(payload)!],
    ];
    const dropped: Record<string, number> = a.transport.counts.dropped;
    for (const [reason, frame] of hostile) {
      const before = dropped[reason]!;
      evil.send(a, frame);
      await until(`${reason} counted`, () => dropped[reason] === before + 1);
    }
    evil.send(a, good);
    evil.send(a, good);
    await until('replay counted', () => dropped['replayed'] === 1);
    expect(a.datagrams.map((one) => one.text)).toEqual(['ping']);
    expect(a.lines).toHaveLength(9);
    expect(a.lines.every((line) => line.startsWith('127.0.0.1: dropped '))).toBe(true);
    expect(a.foreign).toMatchObject([{ id: uid(2), cluster: clusterTag('two') }]);
    expect(evil.answers).toEqual([]);
  });

  it('any bytes: counted, never answered, and the member lives on', async () => {
    const a = await host(1);
    const evil = await attacker();
    const good = sealer(2).seal(payload)!;
    const mutated = fc
      .tuple(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, by]) => Uint8Array.from(good, (byte, i) => (i === at ? byte ^ by : byte)));
    const junk = fc.oneof(fc.uint8Array({ maxLength: 1500 }), mutated);
    await fc.assert(
      fc.asyncProperty(junk, async (frame) => {
        const before = a.transport.counts.datagramsIn;
        evil.send(a, frame);
        await until('received', () => a.transport.counts.datagramsIn === before + 1);
      }),
      { numRuns: 300 },
    );
    const counted = Object.values(a.transport.counts.dropped).reduce((sum, count) => sum + count, 0);
    expect(counted).toBe(a.transport.counts.datagramsIn);
    expect(a.datagrams).toEqual([]);
    expect(evil.answers).toEqual([]);
    evil.send(a, good);
    await until('a good one is heard', () => a.datagrams.length === 1);
  });
});
