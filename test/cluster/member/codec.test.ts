import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memberId } from '../../../src/base/ids.ts';
import { decodeWord, encodeWord, wordVersion } from '../../../src/cluster/member/codec.ts';
import type { PeerName } from '../../../src/cluster/member/contract.ts';
import {
  clusterBytes,
  diskEntry,
  diskSnapshot,
  hardBytes,
  promiseBytes,
  readCluster,
  readDiskEntry,
  readDiskSnapshot,
  readHard,
  readPromise,
} from '../../../src/cluster/member/disk-codec.ts';
import type { Head, Word } from '../../../src/cluster/member/words.ts';
import type { RaftMessage } from '../../../src/cluster/raft/messages.ts';
import type { Config, Entry } from '../../../src/cluster/raft/model.ts';
import { Lab } from './lab.ts';

const hex = fc.stringMatching(/^[0-9a-f]{32}$/);
const id = hex.map(memberId);
const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const millis = fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (Object.is(one, -0) ? 0 : one));
const data = fc.uint8Array({ maxLength: 40 });
const address = fc.tuple(fc.nat({ max: 255 }), fc.integer({ min: 1, max: 65_535 })).map(([a, p]) => `10.0.0.${a}:${p}`);
const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}$/);
const config: fc.Arbitrary<Config> = fc.record({
  voters: fc.array(id, { maxLength: 5 }),
  learners: fc.array(id, { maxLength: 3 }),
});
const entryAt = (index: number): fc.Arbitrary<Entry> =>
  fc.oneof(
    fc.record({ index: fc.constant(index), term: count, kind: fc.constant('noop' as const) }),
    fc.record({ index: fc.constant(index), term: count, kind: fc.constant('data' as const), data }),
    fc.record({ index: fc.constant(index), term: count, kind: fc.constant('config' as const), config }),
  );

const speaker: PeerName = { id: memberId('a'.repeat(32)), boot: 7 };
const about = fc.record({ priority: fc.nat(), witness: fc.boolean() });
const end = { lastIndex: count, lastTerm: count };
const prev = fc.nat({ max: 2 ** 50 });

const bodies = {
  preVote: fc.record({ next: count, ...end }),
  preVoteReply: fc.record({ next: count, granted: fc.boolean() }),
  vote: fc.record({ transfer: fc.boolean(), ...end }),
  voteReply: fc.record({ granted: fc.boolean(), age: millis }),
  append: prev.chain((prevIndex) =>
    fc.record({
      prevIndex: fc.constant(prevIndex),
      prevTerm: count,
      commit: count,
      entries: fc
        .nat({ max: 3 })
        .chain((n) => fc.tuple(...Array.from({ length: n }, (_, i) => entryAt(prevIndex + 1 + i)))),
    }),
  ),
  appendReply: fc.record({
    result: fc.oneof(
      fc.record({ ok: fc.constant(true as const), match: count }),
      fc.record({ ok: fc.constant(false as const), rejected: count, hintIndex: count, hintTerm: count }),
    ),
    applied: count,
    about,
  }),
  heartbeat: fc.record({
    round: count,
    commit: count,
    grant: fc.option(fc.record({ askedAt: millis, boot: count, index: count })),
  }),
  heartbeatReply: fc.record({ round: count, applied: count, askedAt: millis, about }),
  snapshot: fc.record({
    meta: fc.record({ index: count, term: count, config }),
    size: count,
    offset: count,
    piece: data,
  }),
  snapshotReply: fc.record({ index: count, wanted: count }),
  stand: fc.record(end),
  readIndex: fc.record({ id: count }),
  readIndexReply: fc.record({ id: count, index: fc.option(count) }),
} satisfies Record<RaftMessage['kind'], fc.Arbitrary<object>>;

const raft: fc.Arbitrary<RaftMessage> = fc.oneof(
  ...Object.entries(bodies).map(([kind, body]) =>
    fc
      .tuple(fc.record({ to: id, term: count }), body as fc.Arbitrary<object>)
      .map(
        ([envelope, fields]) => ({ kind, from: speaker.id, boot: speaker.boot, ...envelope, ...fields }) as RaftMessage,
      ),
  ),
);

const firstVoters = fc
  .uniqueArray(fc.record({ address, id }), { maxLength: 5, selector: (one) => one.address })
  .filter((all) => new Set(all.map((one) => one.id)).size === all.length)
  .map((all) => all.sort((a, b) => (a.address < b.address ? -1 : 1)));

const had = fc.record({ term: count, index: count });

const word: fc.Arbitrary<Word> = fc.oneof(
  raft.map((message) => ({ kind: 'raft' as const, message })),
  fc.record({ kind: fc.constant('form' as const), name, address, set: hex, promised: fc.option(firstVoters) }),
  fc.record({ kind: fc.constant('cluster' as const), leader: fc.oneof(fc.constant(''), address) }),
  fc.record({ kind: fc.constant('join' as const), name, address }),
  fc.record({
    kind: fc.constant('ask' as const),
    id: count,
    ask: fc.oneof(
      fc.record({ kind: fc.constant('propose' as const), strong: fc.boolean(), data }),
      fc.record({
        kind: fc.constant('change' as const),
        change: fc.constantFrom('add' as const, 'promote' as const, 'remove' as const),
        member: name,
        force: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('transfer' as const), to: fc.option(name) }),
      fc.record({ kind: fc.constant('lease' as const), pool: name, epoch: count }),
    ),
  }),
  fc.record({
    kind: fc.constant('told' as const),
    id: count,
    run: count,
    told: fc.oneof(
      fc.record({ kind: fc.constant('committed' as const), index: count }),
      fc.constant({ kind: 'done' as const }),
      fc.constant({ kind: 'unknown' as const }),
      fc.record({ kind: fc.constant('not-open' as const), open: fc.option(count) }),
      fc.record({
        kind: fc.constant('refused' as const),
        why: fc.constantFrom('not-leader' as const, 'busy' as const, 'must-leave' as const, 'not-member' as const),
      }),
    ),
  }),
  fc.record({ kind: fc.constant('hash' as const), index: count, hash: fc.tuple(fc.nat(), fc.nat()) }),
  fc.record({
    kind: fc.constant('away' as const),
    why: fc.constantFrom('removed' as const, 'name-taken' as const),
    both: count,
  }),
  fc.record({
    kind: fc.constant('who' as const),
    both: count,
    last: count,
    proof: fc.oneof(fc.constant(''), hex),
    had,
    address,
  }),
  fc.record({ kind: fc.constant('run' as const), after: count, proof: fc.oneof(fc.constant(''), hex), had, address }),
  fc.record({ kind: fc.constant('tell' as const), channel: fc.nat(255), bytes: fc.uint8Array({ maxLength: 40 }) }),
);

const head: fc.Arbitrary<Head> = fc.record({
  cluster: fc.oneof(fc.constant(''), hex),
  run: fc.nat({ max: 2 ** 20 - 1 }),
  commands: fc.nat({ max: 255 }),
  leaseless: fc.boolean(),
});

describe('words as bytes', () => {
  it('what is written is read back, and has one form only', () => {
    fc.assert(
      fc.property(head, word, (first, second) => {
        const bytes = encodeWord(first, second);
        const read = decodeWord(bytes, speaker);
        expect(read).toEqual({ ok: true, value: { head: first, word: second } });
        if (read.ok) expect(encodeWord(read.value.head, read.value.word)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  it('any bytes are refused or read, never thrown upon; what is read is written as it was', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, versioned) => {
        if (versioned && bytes.length > 0) bytes[0] = wordVersion;
        const read = decodeWord(bytes, speaker);
        if (read.ok) expect(encodeWord(read.value.head, read.value.word)).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  it('a word that was changed in one place or cut off never throws, and a cut one is refused', () => {
    fc.assert(
      fc.property(head, word, fc.nat(), fc.nat({ max: 255 }), (first, second, place, value) => {
        const bytes = encodeWord(first, second);
        expect(decodeWord(bytes.subarray(0, place % bytes.length), speaker).ok).toBe(false);
        bytes[place % bytes.length] = value;
        const read = decodeWord(bytes, speaker);
        if (read.ok) expect(encodeWord(read.value.head, read.value.word)).toEqual(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('a word of another version is refused as such', () => {
    const bytes = encodeWord({ cluster: '', run: 0, commands: 1, leaseless: false }, { kind: 'cluster', leader: '' });
    bytes[0] = wordVersion + 1;
    expect(decodeWord(bytes, speaker)).toEqual({ ok: false, error: 'version' });
  });
});

describe('what the disk keeps, as bytes', () => {
  it('is read back as it was', () => {
    fc.assert(
      fc.property(count.chain(entryAt), config, data, firstVoters, hex, (entry, members, state, voters, cluster) => {
        expect(readDiskEntry(diskEntry(entry))).toEqual(entry);
        const snapshot = { index: entry.index, term: entry.term, config: members, data: state };
        expect(readDiskSnapshot(diskSnapshot(snapshot))).toEqual(snapshot);
        const promise = { set: cluster, voters };
        expect(readPromise(promiseBytes(promise))).toEqual(promise);
        const fact = { id: cluster, first: voters, leaving: state.length % 2 === 0 };
        expect(readCluster(clusterBytes(fact))).toEqual(fact);
        const hard = { term: entry.term, vote: members.voters[0] ?? null };
        expect(readHard(hardBytes(hard))).toEqual(hard);
      }),
    );
  });

  it('what can’t be read is null', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const read of [readHard, readPromise, readCluster]) read(bytes);
        readDiskEntry({ index: 1, term: 1, bytes });
        readDiskSnapshot({ index: 1, term: 1, bytes });
      }),
      { numRuns: 2000 },
    );
    expect(readHard(new Uint8Array([9]))).toBeNull();
  });
});

describe('a member under any bytes', () => {
  it('does not throw, and goes on', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    const peers = [...lab.hosts.values()].map(({ disk }) => ({ id: disk.uid, boot: disk.boot }));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat({ max: 2 }), fc.nat({ max: 4 }), (bytes, peer, kind) => {
        if (bytes.length > 0 && kind % 2 === 0) bytes[0] = wordVersion;
        if (kind < 3) lab.step('a', { kind: 'message', from: peers[peer]!, bytes });
        else if (kind === 3) lab.step('a', { kind: 'datagram', from: '10.0.0.9:1', bytes });
        else lab.step('a', { kind: 'request', stream: 1e9 + bytes.length, bytes });
      }),
      { numRuns: 2000 },
    );
    lab.run(1000);
    lab.form(15_000);
    expect(lab.set('a', 'k', 'v')).toMatchObject({ ok: true });
  });

  /** Speaks any words as a holder of the key whom nobody knows. */
  function babble(lab: Lab, words: fc.Arbitrary<Word>): void {
    const { cluster } = lab.host('a').up.status();
    const from = { id: memberId('b'.repeat(32)), boot: 3 };
    fc.assert(
      fc.property(words, (one) => {
        const bytes = encodeWord({ cluster: cluster!, run: 5, commands: 1, leaseless: true }, one);
        lab.step('a', { kind: 'message', from, bytes });
        lab.run(1);
      }),
      { numRuns: 2000 },
    );
    lab.run(1000);
  }

  it('any word of a stranger but those of agreement harms nobody', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    // It knows everybody's run: that stands in every word.
    const runs = [...lab.hosts.values()].map((host) => host.run);
    babble(
      lab,
      fc.tuple(word, fc.constantFrom(...runs)).map(([one, both]) => ('both' in one ? { ...one, both } : one)),
    );
    expect(lab.running.map(({ up }) => up.status().stop)).toEqual([null, null, null]);
    lab.form(20_000);
    expect(lab.leader!.up.status().raft?.config.voters).toHaveLength(3);
  });

  it('any message of agreement is taken without throwing, also one that only a liar with the key could send', () => {
    const lab = Lab.of(3);
    lab.start();
    lab.form();
    babble(
      lab,
      raft.map((message) => ({ kind: 'raft' as const, message: { ...message, to: lab.host('a').disk.uid } })),
    );
    for (const { up } of lab.running) expect(up.status().uid).toHaveLength(32);
  });
});
