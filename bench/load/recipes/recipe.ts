/**
 * A recipe says how to start one kind of proxy for a setup: files, command, and how it is told to reload. Pure: the same
 * stand gives the same text, so that what was measured can be read off here.
 *
 * All of them do the same job: round robin or least connections over the same nodes, kept connections to nodes, and the
 * fields that tell a node about its client (X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP; X-Request-Id where the proxy
 * can make one). Request bodies are streamed, answers are not spooled to disk, access logs are off unless the setup says so.
 * Routes and nodes over unix sockets are for evenkeel alone; its peers are measured without.
 */
import type { Setup } from '../contract.ts';
import type { Command } from '../process.ts';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** Both in one file, as HAProxy wants it. */
  readonly both: string;
}

export interface Stand {
  readonly setup: Setup;
  /** `127.1.0.1:3000` or `unix:/path`. */
  readonly nodes: readonly string[];
  readonly port: number;
  readonly adminPort: number;
  /** Its own; the command's files are written into it. */
  readonly folder: string;
  readonly certificate: Certificate | null;
  /** Connections that it must be able to hold. */
  readonly connections: number;
  /** Directive that lets workers of nginx see their folder; empty where nothing is needed. */
  readonly nginxUser: string;
  /** Path of the program. */
  readonly program: string;
  /** Grows by one with each reload; the first node's weight is 1 + turn % 2, so that each has something to change. */
  readonly turn: number;
}

export interface Recipe {
  readonly files: Readonly<Record<string, string>>;
  readonly command: Command;
  /** Sent to its first process after the files were written anew; null: it is not reloaded here. */
  readonly reload: NodeJS.Signals | null;
}

export const firstWeight = (stand: Stand): number => 1 + (stand.turn % 2);
