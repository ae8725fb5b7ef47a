/** The production member, as the world's species. */
import { decodeWord } from '../../src/cluster/member/codec.ts';
import { readDiskEntry, readHard } from '../../src/cluster/member/disk-codec.ts';
import { Member } from '../../src/cluster/member/member.ts';
import type { EntryBody } from '../../src/cluster/raft/model.ts';
import type { Species } from './body.ts';

export const whole: Species = {
  knowsStrong: true,
  make: (options, restored) => new Member(options, restored),
  hardOf(bytes) {
    const hard = readHard(bytes);
    if (hard === null) throw new Error('a member wrote a vote that it could not read');
    return hard;
  },
  entryOf(bytes): EntryBody {
    const entry = readDiskEntry({ index: 1, term: 1, bytes });
    if (entry === null) throw new Error('a member wrote an entry that it could not read');
    return entry;
  },
  raftOf(bytes, speaker) {
    const decoded = decodeWord(bytes, speaker);
    return decoded.ok && decoded.value.word.kind === 'raft' ? decoded.value.word.message : null;
  },
};
