// Lines out of bytes that are cut anywhere. Pure: no stream, no clock.

/** Splits bytes at line feeds, however they are cut. A carriage return before the line feed is dropped. */
export class LineSplitter {
  #held: Uint8Array[] = [];
  #size = 0;
  readonly #most: number;
  readonly #decoder = new TextDecoder();

  /** `most`: bytes a line may have before `push` throws; nothing that endless is a line. */
  constructor(most = 16 * 1024 * 1024) {
    this.#most = most;
  }

  /** The lines that this chunk completes. @throws {RangeError} when a line grows over the limit. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      lines.push(this.#take(chunk.subarray(from, at)));
      from = at + 1;
    }
    if (from < chunk.length) {
      // A copy: whoever feeds us may use the chunk's memory again.
      this.#held.push(chunk.slice(from));
      this.#size += chunk.length - from;
      if (this.#size > this.#most) throw new RangeError(`a line of more than ${this.#most} bytes`);
    }
    return lines;
  }

  /** What is left without a line feed at the end, or null. */
  end(): string | null {
    return this.#size === 0 ? null : this.#take(new Uint8Array(0));
  }

  #take(last: Uint8Array): string {
    let bytes = last;
    if (this.#size > 0) {
      bytes = new Uint8Array(this.#size + last.length);
      let at = 0;
      for (const piece of [...this.#held, last]) {
        bytes.set(piece, at);
        at += piece.length;
      }
      this.#held = [];
      this.#size = 0;
    }
    // Only whole lines are decoded, so that no character is cut.
    const text = this.#decoder.decode(bytes);
    return text.endsWith("\r") ? text.slice(0, -1) : text;
  }
}
