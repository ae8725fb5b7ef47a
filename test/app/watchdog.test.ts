import { describe, expect, it } from 'vitest';
import { Watchdog } from '../../src/app/watchdog.ts';

describe('watchdog', () => {
  it('finds a heartbeat that stands still for ten seconds', () => {
    const dog = new Watchdog(0);
    for (let s = 1; s <= 20; s++) expect(dog.look(s * 1000, s, 0)).toBe('well');
    for (let s = 21; s < 30; s++) expect(dog.look(s * 1000, 20, 0), `${s} s`).toBe('well');
    expect(dog.stoodFor).toBe(9000);
    expect(dog.look(30_000, 20, 0)).toBe('hung');
  });

  it('forgives all once the heart beats again', () => {
    const dog = new Watchdog(0);
    for (let s = 1; s < 10; s++) dog.look(s * 1000, 1, 0);
    expect(dog.look(10_000, 2, 0)).toBe('well');
    expect(dog.stoodFor).toBe(0);
  });

  it('does not blame a thread for the time in which nobody looked', () => {
    const dog = new Watchdog(0);
    dog.look(1000, 7, 0);
    expect(dog.look(61_000, 7, 0)).toBe('well');
    expect(dog.look(62_000, 7, 0)).toBe('well');
    expect(dog.stoodFor).toBe(1000);
  });

  it('finds more than ten exceptions in a minute, not ten, and not twenty in two', () => {
    const dog = new Watchdog(0);
    expect(dog.look(1000, 1, 10)).toBe('well');
    expect(dog.look(2000, 2, 11)).toBe('sick');
    const slow = new Watchdog(0);
    for (let s = 1; s <= 240; s++) expect(slow.look(s * 1000, s, Math.floor(s / 6)), `${s} s`).toBe('well');
  });
});
