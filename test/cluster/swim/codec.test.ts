import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/base/ids.ts';
import {
  decodeAnswer,
  decodeDatagram,
  decodeRequest,
  encodeAnswer,
  encodeDatagram,
  encodeRequest,
} from '../../../src/cluster/swim/codec.ts';
import {
  type Datagram,
  datagramBytesMax,
  type Message,
  type Sight,
  type StreamAnswer,
  type StreamRequest,
  type SyncEntry,
  streamBytesMax,
  type Update,
} from '../../../src/cluster/swim/messages.ts';
import { claimOf, idOf, metadata } from './world.ts';

const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => memberId(Buffer.from(bytes).toString('hex')));
const boot = fc.nat({ max: 2 ** 31 - 1 }).map((n) => n * 2);
const number = fc.oneof(fc.nat(), fc.constant(2 ** 48 - 1), fc.constant(127), fc.constant(128));
const seq = fc.oneof(fc.nat(), fc.constant(2 ** 32 - 1));
const subject = fc.record({ id, boot, incarnation: number });
const sender = fc.record({ id, boot, incarnation: number, score: fc.nat({ max: 7 }) });
const address = fc.constantFrom('10.0.0.1:7946', '[fe80::1]:1', 'node-1.example.com:65535', 'a:80');
const claim = fc.record({
  id,
  boot,
  incarnation: number,
  name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/),
  address,
  joining: fc.boolean(),
  metadata: fc.record({
    version: fc.stringMatching(/^[!-~]{0,32}$/),
    priority: fc.nat({ max: 65_535 }),
    witness: fc.boolean(),
    admin: fc.oneof(fc.constant(''), address),
    zone: fc.stringMatching(/^[A-Za-z0-9._-]{0,64}$/),
  }),
});
const sight: fc.Arbitrary<Sight> = fc.record({
  kind: fc.constant('sight' as const),
  id,
  boot,
  number,
  blindTo: fc.array(id, { maxLength: 31 }),
});
const update: fc.Arbitrary<Update> = fc.oneof(
  fc.record({ kind: fc.constant('alive' as const), claim }),
  fc.record({ kind: fc.constantFrom('suspect' as const, 'dead' as const), subject, by: id }),
  fc.record({ kind: fc.constant('left' as const), subject }),
  sight,
);
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.constant({ kind: 'gossip' as const }),
  fc.record({ kind: fc.constant('ping' as const), seq, target: subject }),
  fc.record({ kind: fc.constant('relay' as const), seq, target: id }),
  fc.record({ kind: fc.constant('ack' as const), seq, stranger: fc.boolean() }),
  fc.record({ kind: fc.constant('nack' as const), seq }),
);
const entry: fc.Arbitrary<SyncEntry> = fc.record({
  claim,
  status: fc.constantFrom('alive' as const, 'suspect' as const, 'dead' as const, 'left' as const),
});
const sync = { sender, entries: fc.array(entry, { maxLength: 9 }), sights: fc.array(sight, { maxLength: 4 }) };
const word = fc.nat().map((n) => n * 2 + 1);
const request: fc.Arbitrary<StreamRequest> = fc.oneof(
  fc.record({ kind: fc.constant('ping' as const), sender, target: id }),
  fc.record({ kind: fc.constant('compare' as const), sender, digest: fc.tuple(word, word) }),
  fc.record({ kind: fc.constant('sync' as const), ...sync }),
);
const answer: fc.Arbitrary<StreamAnswer> = fc.oneof(
  fc.record({ kind: fc.constantFrom('ack' as const, 'same' as const, 'differs' as const), sender }),
  fc.record({ kind: fc.constant('sync' as const), ...sync }),
);
const datagram: fc.Arbitrary<Datagram> = fc.record({ sender, message, updates: fc.array(update, { maxLength: 2 }) });

describe('codec', () => {
  it('datagrams come back as they went', () => {
    fc.assert(
      fc.property(datagram, (value) => {
        const bytes = encodeDatagram(value);
        fc.pre(bytes.length <= datagramBytesMax);
        expect(decodeDatagram(bytes)).toEqual({ ok: true, value });
      }),
    );
  });

  it('streams come back as they went', () => {
    fc.assert(
      fc.property(request, (value) => {
        expect(decodeRequest(encodeRequest(value))).toEqual({ ok: true, value });
      }),
    );
    fc.assert(
      fc.property(answer, (value) => {
        expect(decodeAnswer(encodeAnswer(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it('any bytes are refused or have exactly this encoding; nothing throws', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 1500 }),
      fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.of(1, ...rest)),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        const asDatagram = decodeDatagram(given);
        if (asDatagram.ok) expect(encodeDatagram(asDatagram.value)).toEqual(given);
        const asRequest = decodeRequest(given);
        if (asRequest.ok) expect(encodeRequest(asRequest.value)).toEqual(given);
        const asAnswer = decodeAnswer(given);
        if (asAnswer.ok) expect(encodeAnswer(asAnswer.value)).toEqual(given);
      }),
      { numRuns: 2000 },
    );
  });

  it('a flipped byte is refused or has exactly one encoding', () => {
    fc.assert(
      fc.property(datagram, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, flip) => {
        const bytes = Uint8Array.from(encodeDatagram(value));
        fc.pre(bytes.length <= datagramBytesMax);
        bytes[at % bytes.length]! ^= flip;
        const decoded = decodeDatagram(bytes);
        if (decoded.ok) expect(encodeDatagram(decoded.value)).toEqual(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('every truncation of a message is refused', () => {
    const value: Datagram = {
      sender: { id: idOf(1), boot: 300, incarnation: 2 ** 40, score: 7 },
      message: { kind: 'ping', seq: 2 ** 32 - 1, target: { id: idOf(2), boot: 1, incarnation: 1 } },
      updates: [{ kind: 'alive', claim: claimOf(3) }],
    };
    const bytes = encodeDatagram(value);
    const head = encodeDatagram({ ...value, updates: [] }).length;
    for (let length = 0; length < bytes.length; length++) {
      // Cut before the update it is a whole datagram without gossip.
      expect(decodeDatagram(bytes.subarray(0, length)).ok, `${length}`).toBe(length === head);
    }
  });
});

describe('codec refuses', () => {
  const sent = { id: idOf(1), boot: 1, incarnation: 1, score: 0 };
  const told = (changes: Parameters<typeof claimOf>[1]): Uint8Array =>
    encodeDatagram({
      sender: sent,
      message: { kind: 'gossip' },
      updates: [{ kind: 'alive', claim: claimOf(2, changes) }],
    });

  const bad: readonly (readonly [string, Uint8Array])[] = [
    ['an empty name', told({ name: '' })],
    ['a name with a line break', told({ name: 'a\nb' })],
    ['a name of 64 characters', told({ name: 'a'.repeat(64) })],
    ['a name that begins with a dash', told({ name: '-a' })],
    ['an address without port', told({ address: '10.0.0.1' })],
    ['an address with port 0', told({ address: '10.0.0.1:0' })],
    ['an address with port 65536', told({ address: '10.0.0.1:65536' })],
    ['an address with a leading zero in its port', told({ address: '10.0.0.1:080' })],
    ['an address out of the range of IPv4', told({ address: '10.0.0.256:1' })],
    ['an address with a path', told({ address: 'http://a:1' })],
    ['an incarnation of 2^48', told({ incarnation: 2 ** 48 })],
    ['an incarnation of 2^53', told({ incarnation: 2 ** 53 })],
    ['a boot number of 2^32', told({ boot: 2 ** 32 })],
    ['a priority of 65536', told({ metadata: { ...metadata, priority: 65_536 } })],
    ['a version with a space', told({ metadata: { ...metadata, version: 'a b' } })],
    ['a zone of 65 characters', told({ metadata: { ...metadata, zone: 'z'.repeat(65) } })],
    ['an admin address that is none', told({ metadata: { ...metadata, admin: 'x' } })],
    ['a score of 8', encodeDatagram({ sender: { ...sent, score: 8 }, message: { kind: 'gossip' }, updates: [] })],
    [
      'more than 31 members that one is blind to',
      encodeDatagram({
        sender: sent,
        message: { kind: 'gossip' },
        updates: [
          { kind: 'sight', id: idOf(1), boot: 1, number: 1, blindTo: Array.from({ length: 32 }, (_, n) => idOf(n)) },
        ],
      }),
    ],
  ];
  for (const [what, bytes] of bad) {
    it(what, () => expect(decodeDatagram(bytes)).toEqual({ ok: false, error: 'malformed' }));
  }

  it('a number in a longer form than needed', () => {
    const good = encodeDatagram({ sender: { ...sent, boot: 0 }, message: { kind: 'gossip' }, updates: [] });
    const long = Uint8Array.from([...good.subarray(0, 18), 0x80, 0x00, ...good.subarray(19)]);
    expect(decodeDatagram(good).ok).toBe(true);
    expect(decodeDatagram(long)).toEqual({ ok: false, error: 'malformed' });
  });

  it('another version, and says so', () => {
    const bytes = Uint8Array.from(told({}));
    bytes[0] = 2;
    expect(decodeDatagram(bytes)).toEqual({ ok: false, error: 'version' });
    expect(decodeRequest(bytes)).toEqual({ ok: false, error: 'version' });
    expect(decodeAnswer(Uint8Array.of())).toEqual({ ok: false, error: 'version' });
  });

  it('more than 1400 bytes in a datagram, more than 4 MiB in a stream', () => {
    expect(decodeDatagram(new Uint8Array(datagramBytesMax + 1).fill(1))).toEqual({ ok: false, error: 'oversized' });
    expect(decodeRequest(new Uint8Array(streamBytesMax + 1).fill(1))).toEqual({ ok: false, error: 'oversized' });
  });

  it('an update that is no sight among the sights of a sync', () => {
    const sights = [{ kind: 'left', subject: sent }] as unknown as Sight[];
    const bytes = encodeRequest({ kind: 'sync', sender: sent, entries: [], sights });
    expect(decodeRequest(bytes)).toEqual({ ok: false, error: 'malformed' });
  });

  it('a sync with bytes behind its end', () => {
    const bytes = encodeAnswer({ kind: 'sync', sender: sent, entries: [], sights: [] });
    expect(decodeAnswer(bytes).ok).toBe(true);
    expect(decodeAnswer(Uint8Array.of(...bytes, 0))).toEqual({ ok: false, error: 'malformed' });
  });
});

describe('a sync of more members than a stream may hold', () => {
  it('is cut at an entry, the sender first', () => {
    const wide = { ...metadata, zone: 'z'.repeat(64), version: 'v'.repeat(32) };
    const claims = Array.from({ length: 30_000 }, (_, n) => claimOf(n, { metadata: wide }));
    const entries = claims.map((one) => ({ claim: one, status: 'alive' as const }));
    const bytes = encodeRequest({ kind: 'sync', sender: claimOfSender, entries, sights: [] });
    expect(bytes.length).toBeLessThanOrEqual(streamBytesMax);
    const decoded = decodeRequest(bytes);
    if (!decoded.ok || decoded.value.kind !== 'sync') throw new Error('not a sync');
    expect(decoded.value.entries[0]).toEqual(entries[0]);
    expect(decoded.value.entries.length).toBeGreaterThan(10_000);
  });
});

const claimOfSender = { id: idOf(0), boot: 1, incarnation: 1, score: 0 };
