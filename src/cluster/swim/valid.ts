/**
 * What may stand in a claim. Peers' texts end up in logs, metrics and the dashboard, so that only plain ones are let
 * in; numbers are bounded so that every sum stays exact.
 */
import type { Metadata } from './model.ts';

const nameForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const hostForm =
  /^(?:\[[0-9A-Fa-f:.]{2,45}\]|(?![\d.]+$)[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?|(?:\d{1,3}\.){3}\d{1,3})$/;
const zoneForm = /^[A-Za-z0-9._-]{0,64}$/;
const versionForm = /^[!-~]{0,32}$/;
const idForm = /^[0-9a-f]{32}$/;

/** Boot numbers are below this. */
export const bootMax = 2 ** 32 - 1;
/** Incarnations on the wire are at most this; see `leapMax` for what a peer may add at once. */
export const incarnationMax = 2 ** 48 - 1;
export const priorityMax = 65_535;
/** Longest list of members that one cannot reach. */
export const blindMax = 31;

export const isMemberId = (text: string): boolean => idForm.test(text);

export const isMemberName = (text: string): boolean => nameForm.test(text);

/** `host:port` with a port from 1 to 65535. */
export function isAddress(text: string): boolean {
  const colon = text.lastIndexOf(':');
  if (colon < 1 || !/^[1-9]\d{0,4}$/.test(text.slice(colon + 1)) || Number(text.slice(colon + 1)) > 65_535)
    return false;
  const host = text.slice(0, colon);
  if (!hostForm.test(host)) return false;
  return !/^[\d.]+$/.test(host) || host.split('.').every((part) => Number(part) <= 255);
}

export function isMetadata(metadata: Metadata): boolean {
  return (
    versionForm.test(metadata.version) &&
    Number.isInteger(metadata.priority) &&
    metadata.priority >= 0 &&
    metadata.priority <= priorityMax &&
    (metadata.admin === '' || isAddress(metadata.admin)) &&
    zoneForm.test(metadata.zone)
  );
}
