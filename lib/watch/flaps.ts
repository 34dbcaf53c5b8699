// The watch's clock for links that go up and down on a schedule: one timer, for whichever link changes next. Owns when
// a vnode is looked at again; what its links are then follows from the time (lib/vnode/flap.ts).
import type { Clock } from "../docker/types.ts";
import type { VnodeSpec } from "../config/types.ts";
import { nextFlapMs } from "../vnode/flap.ts";

/** The schedules of vnodes. */
export class Flaps {
  readonly #specs = new Map<string, VnodeSpec>();
  #timer: AbortController | null = null;
  #dueMs = Infinity;

  /** `look` is told each vnode of which a link changes, at that moment. It ends with the signal. */
  constructor(
    readonly clock: Clock,
    readonly signal: AbortSignal,
    readonly look: (vnode: string) => void,
  ) {
    signal.addEventListener("abort", () => this.#timer?.abort(), { once: true });
  }

  /** Takes up what a vnode's links do by now: its spec without the clock's doing, or null where it does not run. */
  keep(vnode: string, spec: VnodeSpec | null): void {
    if (spec !== null && spec.links.some((link) => link.flap !== undefined)) this.#specs.set(vnode, spec);
    else if (!this.#specs.delete(vnode)) return;
    this.#arm();
  }

  /** Forgets all but these vnodes. */
  only(vnodes: ReadonlySet<string>): void {
    for (const vnode of this.#specs.keys()) if (!vnodes.has(vnode)) this.#specs.delete(vnode);
  }

  #arm(): void {
    const now = this.clock.unix();
    const next = Math.min(...[...this.#specs.values()].map((spec) => nextFlapMs(spec, now) ?? Infinity));
    if (next === this.#dueMs && this.#timer !== null) return;
    this.#timer?.abort();
    this.#timer = null;
    this.#dueMs = next;
    if (!Number.isFinite(next) || this.signal.aborted) return;
    const timer = this.#timer = new AbortController();
    void this.clock.wait(Math.max(1, next - now), timer.signal).then(() => {
      if (timer.signal.aborted || this.signal.aborted) return;
      this.#timer = null;
      for (const [vnode, spec] of this.#specs) {
        const due = nextFlapMs(spec, now);
        if (due !== null && due <= this.clock.unix()) this.look(vnode);
      }
      this.#arm();
    });
  }
}
