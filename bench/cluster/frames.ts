/** What sealing costs, one frame: `node bench/cluster/frames.ts`. Best of five rounds, microseconds. */
import { memberId } from '../../src/base/ids.ts';
import { DatagramOpener, DatagramSealer } from '../../src/cluster/io/datagrams.ts';
import { Dialler, welcomeTo } from '../../src/cluster/io/handshake.ts';
import { clusterTag, Keyring } from '../../src/cluster/io/keyring.ts';

const keys = new Keyring([new Uint8Array(32).fill(1)]);
const cluster = clusterTag('bench');
const identity = (n: number) => ({ keys, cluster, self: { id: memberId(String(n).padStart(32, '0')), boot: 1 } });

function measure(what: string, count: number, round: () => () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const each = round();
    const from = performance.now();
    for (let n = 0; n < count; n++) each();
    best = Math.min(best, ((performance.now() - from) * 1000) / count);
  }
  console.log(`${what.padEnd(40)} ${best.toFixed(1)} us`);
}

for (const size of [100, 1400]) {
  const payload = new Uint8Array(size).fill(5);
  measure(`seal a datagram of ${size} bytes`, 20_000, () => {
    const sealer = new DatagramSealer({ ...identity(1), counter: 0 });
    return () => void sealer.seal(payload);
  });
  measure(`open a datagram of ${size} bytes`, 20_000, () => {
    const sealer = new DatagramSealer({ ...identity(1), counter: 0 });
    const frames = Array.from({ length: 20_000 }, () => sealer.seal(payload) ?? payload);
    const opener = new DatagramOpener(identity(2));
    let at = 0;
    return () => void opener.open(frames[at++] ?? payload);
  });
}
const forged = new DatagramSealer({ ...identity(1), counter: 0 }).seal(new Uint8Array(1400)) ?? new Uint8Array(0);
forged[100] = (forged[100] ?? 0) ^ 1;
measure('drop a forged datagram of a stranger', 20_000, () => {
  const opener = new DatagramOpener(identity(2));
  return () => void opener.open(forged);
});
measure('a handshake, both sides', 1000, () => () => {
  const dialler = new Dialler(identity(1));
  const welcoming = welcomeTo(dialler.hello, identity(2));
  const welcomed = welcoming.ok ? dialler.welcomed(welcoming.value.welcome) : welcoming;
  if (welcoming.ok && welcomed.ok) welcoming.value.proved(welcomed.value.proof);
});
