/**
 * TLS of a listener: turns accepted connections into encrypted ones. It never changes: new certificates make a new door,
 * through which later connections go; handshakes under way end as they began. No socket is closed for it.
 *
 *   raw --begin()--> handshake --> secured(socket, facts)
 *                     |--> failed, timed out, or pushed out by a newer one: closed and counted
 *
 * Sessions: tickets are sealed with keys that all threads share, so a client that comes back is known in any of them.
 * The session context names listener and authorities: a ticket of one listener is worth nothing at another, so nobody
 * takes the trust that a client certificate earned to where another is asked for (CVE-2025-23419). A resumed TLS 1.3
 * session without a certificate counts as `authorized` in Node: trust is given only where there is a certificate, too.
 *
 * In number, handshakes are bounded: when there are too many, the oldest makes room, unless it has just begun.
 */
import { constants, createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { ListenerSpec } from '../../routing/snapshot.ts';
import { CertificateNames } from '../certificate-names.ts';

export type TlsMaterial = NonNullable<ListenerSpec['tls']>;

/** What a request needs to know of a connection whose listener asks for client certificates. */
export interface SecureFacts {
  /** The line that tells nodes of the client's verified certificate (RFC 9440); empty: there is none. */
  readonly clientCert: string;
  /** Whether the connection's certificate is the one for this host; else 421. `host` in lower case, may be empty. */
  serves(host: string): boolean;
}

export interface TlsDoorOptions {
  readonly material: TlsMaterial;
  /** The listener's. */
  readonly name: string;
  /** 48 bytes. */
  readonly ticketKeys: Buffer;
  readonly handshakeTimeout: number;
  /** `facts` is null where no client certificates are asked for. */
  readonly secured: (socket: TLSSocket, facts: SecureFacts | null) => void;
  readonly failed: () => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else. */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** A ticket older than this is not taken. */
const sessionSeconds = 2 * 3600;
/** In one thread at once. Each holds some 50 KiB. */
const maxHandshakes = 1024;
/** A handshake that began so recently is not pushed out: then it is the newcomer that goes. */
const youngMs = 1000;

export class TlsDoor {
  readonly #options: TlsDoorOptions;
  readonly #server: Server;
  readonly #names: CertificateNames;
  readonly #contexts: readonly SecureContext[];
  /** By the client's address, since the encrypted socket does not tell which raw one it was; oldest first. */
  readonly #handshakes = new Map<string, { readonly raw: Socket; readonly begun: number }>();

  /** Throws if OpenSSL refuses a certificate. */
  constructor(options: TlsDoorOptions) {
    this.#options = options;
    const { certificates } = options.material;
    this.#names = new CertificateNames(certificates.map(({ names }) => names));
    const shared = sharedOptions(options);
    const [first, ...others] = certificates.map(({ cert, key }) => ({ ...shared, cert, key }));
    this.#server = this.#createServer(first!);
    this.#contexts = others.map((other) => createSecureContext(other));
  }

  #createServer(context: SecureContextOptions): Server {
    const { material, handshakeTimeout, failed } = this.#options;
    const { clientCert } = material;
    const server = createServer({
      ...context,
      handshakeTimeout,
      requestCert: clientCert !== null,
      rejectUnauthorized: clientCert?.mode === 'require',
      // curl --http1.0 offers nothing else.
      ALPNProtocols: ['http/1.1', 'http/1.0'],
      // Must not throw, whatever the name is: a look-up in two maps.
      SNICallback: (name, found) => found(null, this.#contexts[this.#names.find(name) - 1]),
    });
    server.on('secureConnection', (socket) => this.#secured(socket));
    server.on('tlsClientError', (_error, socket) => {
      failed();
      // Node leaves it open after a handshake that timed out, and would for ever.
      socket.destroy();
    });
    return server;
  }

  /** Begins a handshake. */
  begin(raw: Socket): void {
    const now = this.#options.now();
    if (!this.#makeRoom(now)) {
      this.#options.failed();
      raw.destroy();
      return;
    }
    const name = peerName(raw);
    const handshake = { raw, begun: now };
    if (name !== '') this.#handshakes.set(name, handshake);
    raw.once('close', () => {
      if (this.#handshakes.get(name) === handshake) this.#handshakes.delete(name);
    });
    this.#server.emit('connection', raw);
  }

  #makeRoom(now: number): boolean {
    if (this.#handshakes.size < maxHandshakes) return true;
    for (const { raw, begun } of this.#handshakes.values()) {
      if (now - begun < youngMs) return false;
      this.#options.failed();
      raw.destroy();
      break;
    }
    return true;
  }

  #secured(socket: TLSSocket): void {
    this.#handshakes.delete(peerName(socket));
    socket.allowHalfOpen = true;
    socket.once('end', () => {
      if (isReset(socket)) socket.destroy();
    });
    const { material, secured } = this.#options;
    if (material.clientCert === null) return secured(socket, null);
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
    if (material.clientCert.mode === 'require' && certificate === undefined) {
      this.#options.failed();
      socket.destroy();
      return;
    }
    const clientCert = certificate === undefined ? '' : `Client-Cert: :${certificate.raw.toString('base64')}:\r\n`;
    secured(socket, { clientCert, serves: this.#judge(socket) });
  }

  /** A resumed TLS 1.2 session does not tell its name here; OpenSSL resumes it for that name only. */
  #judge(socket: TLSSocket): SecureFacts['serves'] {
    const name: unknown = socket.servername;
    if (typeof name !== 'string' && socket.isSessionReused()) return () => true;
    const names = this.#names;
    const chosen = typeof name === 'string' ? names.find(name) : 0;
    return (host) => host === '' || names.find(host) === chosen;
  }

  /** For handshakes from now on. */
  useTicketKeys(keys: Buffer): void {
    this.#server.setTicketKeys(keys);
  }
}

/** The same for all certificates of the listener. OpenSSL seals tickets with the first's keys, whichever was chosen. */
function sharedOptions({ material, name, ticketKeys }: TlsDoorOptions): SecureContextOptions {
  const { clientCert, minVersion } = material;
  const trust = createHash('sha256').update(JSON.stringify([name, clientCert]));
  return {
    minVersion: `TLSv${minVersion}`,
    ciphers,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: trust.digest('hex').slice(0, 32),
    sessionTimeout: sessionSeconds,
    ticketKeys,
    ...(clientCert === null ? {} : { ca: clientCert.ca }),
  };
}

/** Empty for a unix socket, and for a client that is gone already. */
function peerName(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? '' : `${remoteAddress} ${remotePort}`;
}

/** What the system still knows of the other end; nothing public asks it anew. */
interface Handle {
  getpeername?(out: object): number;
}

/**
 * A reset that meets our session tickets on their way out shows as an end, and whatever is written afterwards waits for ever:
 * Node 24 loses the error of that write. But a connection that was reset has no other end any more.
 */
function isReset(socket: TLSSocket): boolean {
  const { _handle: handle } = socket as unknown as { readonly _handle: Handle | null };
  return typeof handle?.getpeername === 'function' && handle.getpeername({}) !== 0;
}
