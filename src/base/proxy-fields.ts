/** Fields that only proxies set to say who a client is: of others they mean nothing. */
const names: ReadonlySet<string> = new Set([
  'client-cert',
  'client-cert-chain',
  'forwarded',
  'x-real-ip',
  'x-request-id',
]);

/** `name` in lower case. X-HA-* are not among them: those are nobody's but ours. */
export const isProxyField = (name: string): boolean => names.has(name) || name.startsWith('x-forwarded-');
