/** What a system error's code says of whose fault it is. */

/** This machine or process is out of descriptors, ports, buffers or memory: nothing about the other end. */
const exhausted: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']);

export const isExhausted = (code: string | undefined): boolean => code !== undefined && exhausted.has(code);
