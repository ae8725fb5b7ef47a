/** Names that must not be mixed up, and the units of time and size. Plain numbers and strings at run time. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** An app node's name, unique in its pool: the config's `id`, else host:port. */
export type NodeId = Brand<string, 'NodeId'>;
export const nodeId = (id: string): NodeId => id as NodeId;

/** A span or a point of time in milliseconds. A point is of a monotonic clock unless the name says wall. */
export type Millis = number;
/** A span in microseconds. */
export type Micros = number;
export type Bytes = number;

/** A cluster member's uid: 128 random bits in its data folder, as 32 lower-case hexadecimal digits. */
export type MemberId = Brand<string, 'MemberId'>;
export const memberId = (id: string): MemberId => id as MemberId;
