// Docker's 8-byte frames out of bytes that are cut anywhere. Pure: no stream, no clock. Format: the Engine API's
// "attach" page: [stream, 0, 0, 0, size as 4 bytes big-endian] and the payload.

/** 1 stdout, 2 stderr; 0 stdin echoed (never seen, treated as stdout); 3 the engine's own error text. */
export type FrameStream = 0 | 1 | 2 | 3;

/** A piece of one frame's payload: a frame may come in several. */
export interface FramePiece {
  readonly stream: FrameStream;
  /** A view of the chunk given to `push`, not a copy. */
  readonly bytes: Uint8Array;
}

const HEADER = 8;

/** Takes frames apart without ever holding a payload: a huge frame costs no memory. */
export class FrameSplitter {
  readonly #header = new Uint8Array(HEADER);
  #have = 0;
  #stream: FrameStream = 1;
  #left = 0;

  /** The pieces of payload in this chunk. @throws {RangeError} on what is no frame (a terminal's raw stream, say). */
  push(chunk: Uint8Array): FramePiece[] {
    const pieces: FramePiece[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        const bytes = chunk.subarray(at, at + this.#left);
        pieces.push({ stream: this.#stream, bytes });
        this.#left -= bytes.length;
        at += bytes.length;
        continue;
      }
      this.#header[this.#have++] = chunk[at++]!;
      if (this.#have === HEADER) this.#open();
    }
    return pieces;
  }

  /** True when the bytes so far end with a frame: an end elsewhere means that something was lost. */
  get isWhole(): boolean {
    return this.#have === 0 && this.#left === 0;
  }

  #open(): void {
    const [stream, a, b, c] = this.#header;
    if (stream! > 3 || a !== 0 || b !== 0 || c !== 0) {
      const found = [...this.#header].map((each) => each.toString(16).padStart(2, "0")).join(" ");
      throw new RangeError(`the stream has no frames: found header ${found}`);
    }
    this.#stream = stream as FrameStream;
    this.#left = new DataView(this.#header.buffer).getUint32(4);
    this.#have = 0;
  }
}
