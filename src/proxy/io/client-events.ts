/**
 * Where the loop enters a client's connection: the events of its socket, each guarded. An exception ends the exchange that it
 * happened in, never the thread.
 */
import type { Socket } from 'node:net';
import type { Client } from './client.ts';

export type ClientSocket = Socket & { client?: Client };

export function attach(socket: ClientSocket, client: Client): void {
  socket.client = client;
  const { context, listener } = client;
  const reads = listener.tls ? context.borrowedTlsReads : context.borrowedReads;
  if (reads?.begin(socket) !== true) socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('error', onError);
  socket.on('close', onClose);
  socket.on('drain', onDrain);
}

function onData(this: ClientSocket, bytes: Buffer): void {
  const client = this.client!;
  try {
    client.receive(bytes);
  } catch (error) {
    client.threw(error);
  }
}

/** As onData, for a socket that reads into the thread's shared buffer. */
export function onBorrowedRead(this: ClientSocket, length: number, bytes: Buffer): boolean {
  const client = this.client!;
  try {
    client.receiveBorrowed(bytes, length);
  } catch (error) {
    client.threw(error);
  }
  return true;
}

function onEnd(this: ClientSocket): void {
  guard(this.client!, 'ended');
}

function onDrain(this: ClientSocket): void {
  guard(this.client!, 'drained');
}

/** In a later turn: on with what has come. */
export function onTurn(client: Client): void {
  guard(client, 'readPending');
}

function guard(client: Client, what: 'ended' | 'drained' | 'readPending'): void {
  try {
    client[what]();
  } catch (error) {
    client.threw(error);
  }
}

function onClose(this: ClientSocket): void {
  const client = this.client!;
  try {
    client.closed();
  } catch (error) {
    client.context.exception('the end of a client connection', error);
  }
}

/** 'close' follows and does the work; without a listener the error would end the thread. */
function onError(): void {}
