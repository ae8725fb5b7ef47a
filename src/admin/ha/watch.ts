/**
 * Changes of keys as server-sent events.
 *
 *   event: begin    data: {"prefix", "revision"}                      where it began
 *   event: change   id: <revision>   data: {"key", "value", "revision", "deleted", "previousRevision", "at"}
 *   event: ended    data: {"why", "floor"}                            the last one; on `compacted` list anew
 *
 * In order, without gaps, each once. Who comes back sends the last id as `Last-Event-ID` (browsers do by themselves) or as
 * `after`. A reader that falls behind by 8 MiB is ended with why `slow`, rather than kept in memory.
 */
import type { Context } from 'hono';
import type { Bytes, Millis } from '../../base/ids.ts';
import type { Watch, WatchEvent } from '../../cluster/coordinator.ts';
import type { Change } from '../../cluster/replica/model.ts';
import { fixedFields, problemResponse } from '../problem.ts';
import type { HaActions } from './actions.ts';
import { isoTime } from './errors.ts';
import { askedOf, type HaOptions, type HeldOpen, refuse } from './room.ts';
import { type Encoding, encodings, shown } from './values.ts';

const behindMax: Bytes = 8 * 1024 * 1024;
const aliveMs: Millis = 15_000;

/** The stream of one watcher. Closed once, by whichever side is first. */
class Feed {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #text = new TextEncoder();
  readonly #atEnd: (() => void)[] = [];
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor() {
    this.stream = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => this.#end(),
      },
      { highWaterMark: behindMax, size: (chunk) => chunk.byteLength },
    );
  }

  /** Called when nobody reads any more; at once if that is so already. */
  atEnd(f: () => void): void {
    if (this.#controller === null) f();
    else this.#atEnd.push(f);
  }

  write(text: string): void {
    if (this.#controller === null) return;
    if ((this.#controller.desiredSize ?? 0) > 0) this.#controller.enqueue(this.#text.encode(text));
    else this.finish({ why: 'slow', floor: null });
  }

  finish(how: object): void {
    const controller = this.#controller;
    if (controller === null) return;
    controller.enqueue(this.#text.encode(eventText('ended', how)));
    this.#end();
    controller.close();
  }

  #end(): void {
    this.#controller = null;
    for (const f of this.#atEnd.splice(0)) f();
  }
}

const eventText = (event: string, data: object, id?: number): string =>
  `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

const changeShown = ({ key, entry, previous, revision, at }: Change, encoding: Encoding): object => ({
  key,
  ...(entry === null ? { value: null } : shown(entry.value, encoding)),
  revision,
  deleted: entry === null,
  previousRevision: previous?.revision ?? null,
  at: isoTime(at),
});

export function watchKeys(
  options: HaOptions,
  held: HeldOpen,
  { ha, context }: { readonly ha: HaActions; readonly context: Context },
): Response {
  const asked = askedOf(context);
  const prefix = asked.text('prefix', '');
  const encoding = asked.oneOf('encoding', encodings, 'json');
  const last = context.req.header('last-event-id');
  const from = asked.has('after') ? { after: asked.whole('after') } : {};
  if (last !== undefined && !/^\d{1,16}$/.test(last)) asked.fail('Last-Event-ID must be the id of an event');
  const wrong = asked.wrong();
  if (wrong !== null) return problemResponse(wrong);
  const entered = held.enter();
  if (!entered.ok) return problemResponse(entered.error);

  const feed = new Feed();
  const early: WatchEvent[] = [];
  const tell = (event: WatchEvent): void => {
    if (event.kind === 'ended') return feed.finish({ why: event.why, floor: event.floor });
    for (const change of event.changes) feed.write(eventText('change', changeShown(change, encoding), change.revision));
  };
  let watch: Watch | null = null;
  const resumed = last === undefined ? from : { after: Number(last) };
  const watched = ha.coordinator.watch({ prefix, ...resumed }, (event) =>
    watch === null ? void early.push(event) : tell(event),
  );
  feed.atEnd(entered.value);
  if (!watched.ok) {
    entered.value();
    return refuse(ha, watched.error);
  }
  watch = watched.value;
  feed.atEnd(watched.value.close);
  feed.write(eventText('begin', { prefix, revision: watched.value.revision }));
  for (const event of early) tell(event);
  feed.atEnd(options.every(aliveMs, () => feed.write(': here\n\n')));
  return new Response(feed.stream, { headers: { ...fixedFields, 'content-type': 'text/event-stream' } });
}
