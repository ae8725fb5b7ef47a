/** A route: what it matches, and where it leads. */
import * as z from 'zod';
import { err, ok } from '../../base/result.ts';
import { parseHostPattern, parseListen } from '../addresses.ts';
import {
  checkEdit,
  parseFieldName,
  parseFieldValue,
  parseMethod,
  parsePath,
  parsePrefix,
  parseRedirect,
} from '../http-words.ts';
import { oneOrMore, parsed, section } from './scalars.ts';

export const nameForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
export const nameMessage = 'is not a name: letters, digits and . _ - only, at most 64, and a letter or digit first';
export const name = parsed('name', (text) => (nameForm.test(text) ? ok(text) : err(nameMessage)));

/** A map's key can only be refused, not changed. */
const keyOf = (check: (text: string) => string | null) =>
  z.string().superRefine((text, context) => {
    const message = check(text);
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

const fault = (text: string): string | null => {
  const read = parseFieldName(text);
  return read.ok ? null : read.error;
};

function edits(side: 'request' | 'response') {
  return section({
    set: z
      .record(
        keyOf((text) => fault(text) ?? checkEdit(text, { side, remove: false })),
        parsed('text', parseFieldValue),
      )
      .prefault({})
      .describe(`Fields to set in the ${side}, in place of any that have the name.`),
    remove: z
      .array(
        parsed('field name', (text) => {
          const message = fault(text) ?? checkEdit(text, { side, remove: true });
          return message === null ? ok(text.toLowerCase()) : err(message);
        }),
      )
      .prefault([])
      .describe(`Fields to leave out of the ${side}.`),
  }).prefault({});
}

const listenerName = parsed('address', (text) => {
  const read = parseListen(text);
  return read.ok ? ok(read.value.name) : read;
}).meta({ type: ['string', 'integer'] });

const redirectTo = parsed('url', parseRedirect);

export const route = section({
  name: name
    .optional()
    .meta({ 'x-default': 'route-1, route-2, ...' })
    .describe("The route's name in logs and metrics. Unique."),
  listen: oneOrMore(listenerName)
    .optional()
    .meta({ 'x-default': 'all' })
    .describe('Only for clients of these listeners: an address as under the top-level `listen`, or a list.'),
  host: parsed('host', parseHostPattern)
    .optional()
    .meta({ 'x-default': 'any' })
    .describe('Only for this host. `*.example.com` matches one or more labels in front. Without a port.'),
  path: parsed('path', parsePrefix)
    .optional()
    .meta({ 'x-default': 'any' })
    .describe('Only for paths that start so, by whole segments: `/v1` matches /v1 and /v1/x, never /v1x.'),
  exact: parsed('path', parsePath)
    .optional()
    .meta({ 'x-default': 'any' })
    .describe('Only for exactly this path. In place of `path`.'),
  method: oneOrMore(parsed('method', parseMethod))
    .optional()
    .meta({ 'x-default': 'any' })
    .describe('Only for this method, or a list.'),
  headers: z
    .record(keyOf(fault), z.union([z.literal(true).transform(() => null), z.null(), parsed('text', parseFieldValue)]))
    .prefault({})
    .describe('Only for requests with these fields: name and value, or name and `true` for any value.'),
  pool: parsed('name', (text) => ok(text))
    .optional()
    .describe('The pool that serves the request.'),
  stripPrefix: z
    .boolean()
    .prefault(false)
    .describe('Take the matched `path` off before the request goes on: /v1/x becomes /x.'),
  replacePrefix: parsed('path', parsePrefix).optional().describe('Put this in place of the matched `path`.'),
  redirect: z
    .union([
      redirectTo.transform((to) => ({ to, status: 302 as const })),
      section({
        to: redirectTo.describe(
          'Where to: `https://{host}{path}`, `/new`. {host}, {path} (with the query) and {scheme} are filled in.',
        ),
        status: z.literal([301, 302, 303, 307, 308]).prefault(302).describe('The status of the answer.'),
      }),
    ])
    .optional()
    .describe('Answer with a redirect, in place of a pool: an address, or a map.'),
  request: edits('request').describe('Changes to the request on its way to the node.'),
  response: edits('response').describe('Changes to the answer on its way to the client.'),
  abortOnFin: z
    .boolean()
    .prefault(false)
    .describe(
      'Cancel the request when the client closes its sending side, as nginx does. Otherwise it gets its answer.',
    ),
  treatAs: z
    .enum(['read', 'write'])
    .optional()
    .meta({ 'x-default': 'by method: GET, HEAD and OPTIONS are reads, tunnels writes' })
    .describe('What these requests are in a pool with `failover`, such as `read` for a search by POST.'),
});
