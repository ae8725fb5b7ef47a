import { describe, expect, it } from 'vitest';
import { isExhausted } from '../../src/base/errno.ts';

describe('isExhausted', () => {
  it('knows what is wrong here from what is wrong there', () => {
    expect(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM'].every(isExhausted)).toBe(true);
    expect(['ECONNREFUSED', 'ETIMEDOUT', 'ENOTFOUND', '', undefined].some(isExhausted)).toBe(false);
  });
});
