// Vnodes that berth itself has stopped, since the engine has to restart or its root to move: neither their stop nor
// their absence says anything of what is wanted, and nobody may start them meanwhile. Looks only; the note is
// written and taken away by the engine's resources.
import type { Clock } from "../docker/types.ts";
import type { Look } from "../host/types.ts";
import { STOPPED_PATH } from "../resource/engine_look.ts";

/** A note this old is of a run that died; copying an engine's root takes less (milliseconds: two hours). */
const HELD_MS = 7_200_000;

/** Reads the note, and remembers since when it stands. */
export class Held {
  readonly #look: Look;
  readonly #clock: Clock;
  #text: string | null = null;
  #since = 0;

  constructor(look: Look, clock: Clock) {
    this.#look = look;
    this.#clock = clock;
  }

  /** True while berth keeps that vnode stopped. */
  async holds(vnode: string): Promise<boolean> {
    const text = await this.#look.readText(STOPPED_PATH);
    if (text !== this.#text) {
      this.#text = text;
      this.#since = this.#clock.now();
    }
    if (text === null || this.#clock.now() - this.#since >= HELD_MS) return false;
    try {
      return Object.hasOwn(JSON.parse(text) as object, vnode);
    } catch {
      return false; // half a note is no note
    }
  }
}
