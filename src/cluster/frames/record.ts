/**
 * What travels in the sealed records of a connection: messages of any kind and size up to a bound, cut into pieces.
 *
 *   message    one way                      ping, pong   does the other side still read?
 *   request -> answer | refusal             matched by number
 *
 * Small messages are one record and may pass between the pieces of a large one, so that a heartbeat never waits for a
 * snapshot. Of large ones, one is under way at a time: the reader holds one half message, not as many as a peer likes.
 */
export const recordForms = ['message', 'request', 'answer', 'refusal', 'ping', 'pong'] as const;
export type RecordForm = (typeof recordForms)[number];

export const pieceHeaderBytes = 11;
/** Bytes of a message in one record. */
export const pieceMax = 32 * 1024;
/** Largest record: header, piece and tag. */
export const recordMax = pieceHeaderBytes + pieceMax + 16;
/** Largest message. */
export const messageMax = 256 * 1024 * 1024;

export interface Piece {
  readonly form: RecordForm;
  readonly last: boolean;
  /** Says to the rooms above what the bytes are: 0 to 255. */
  readonly kind: number;
  /** Of a request and its answer; else any. */
  readonly number: number;
  /** Bytes of the whole message. */
  readonly total: number;
  readonly bytes: Uint8Array;
}

export function encodePiece(piece: Piece): Uint8Array {
  const out = new Uint8Array(pieceHeaderBytes + piece.bytes.byteLength);
  out[0] = recordForms.indexOf(piece.form) + 1;
  out[1] = piece.last ? 1 : 0;
  out[2] = piece.kind;
  const view = new DataView(out.buffer);
  view.setUint32(3, piece.number);
  view.setUint32(7, piece.total);
  out.set(piece.bytes, pieceHeaderBytes);
  return out;
}

/** null: no piece. */
export function decodePiece(bytes: Uint8Array): Piece | null {
  if (bytes.byteLength < pieceHeaderBytes) return null;
  const form = recordForms[bytes[0]! - 1];
  if (form === undefined || bytes[1]! > 1) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    form,
    last: bytes[1] === 1,
    kind: bytes[2]!,
    number: view.getUint32(3),
    total: view.getUint32(7),
    bytes: bytes.subarray(pieceHeaderBytes),
  };
}

/** A whole message, as `Piece` with all its bytes. */
export type Whole = Omit<Piece, 'last' | 'total'>;

export class Assembler {
  readonly #max: number;
  #head: Piece | null = null;
  #pieces: Uint8Array[] = [];
  #size = 0;

  constructor(max: number = messageMax) {
    this.#max = max;
  }

  /** The message that this piece completes; null: more is to come; 'protocol': the peer breaks the rules. */
  add(piece: Piece): Whole | null | 'protocol' {
    if (piece.total > this.#max) return 'protocol';
    if (piece.last && piece.total === piece.bytes.byteLength) return piece;
    const head = this.#head ?? piece;
    const same =
      head.form === piece.form &&
      head.kind === piece.kind &&
      head.number === piece.number &&
      head.total === piece.total;
    // An empty piece would be free to send and never end.
    if (!same || piece.bytes.byteLength === 0) return 'protocol';
    this.#head = head;
    this.#pieces.push(piece.bytes);
    this.#size += piece.bytes.byteLength;
    if (this.#size > head.total || piece.last !== (this.#size === head.total)) return 'protocol';
    return piece.last ? this.#whole(head) : null;
  }

  #whole(head: Piece): Whole {
    const bytes = new Uint8Array(head.total);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    this.#head = null;
    this.#pieces = [];
    this.#size = 0;
    return { form: head.form, kind: head.kind, number: head.number, bytes };
  }
}
