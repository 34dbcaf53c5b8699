// What a death says about what is wanted. Docker tells the same events for an operator's `docker stop` and for a
// container that the returning engine kills after a crash; an engine that shuts down stops them too. So only
// what is seen live, from an engine that still takes new connections, ever changes what is wanted. Pure.
import type { EngineEvent } from "../docker/types.ts";

/** What an event means for a vnode's `wanted`, if anything; `by` says who. */
export interface Verdict {
  readonly state: "up" | "halted";
  readonly by: string;
  /** True when Docker was told to end it, so that a start may follow (a restart). */
  readonly byDocker?: boolean;
}

/** `reboot` typed inside a container with CAP_SYS_BOOT ends it with this code (measured). */
export const REBOOT_EXIT = 129;
/** `poweroff` does so with this one. */
export const POWEROFF_EXIT = 130;

/** Signals that programs are told things by, and live on: HUP, USR1, USR2, CONT, WINCH. */
const HARMLESS_SIGNALS = new Set(["1", "10", "12", "18", "28"]);

/** Remembers, per container, whether its end was asked for from outside. */
export class Deaths {
  #killed = new Map<string, string>();

  /**
   * Judges one live event. A `die` without a `kill` before it is the vnode's own: `reboot` typed inside means
   * boot again (the verdict is "up" while it is dead), `poweroff` and any other end mean halted.
   */
  judge(event: EngineEvent): Verdict | null {
    switch (event.action) {
      case "start":
        this.#killed.delete(event.id);
        return { state: "up", by: "docker start" };
      case "kill":
        if (!HARMLESS_SIGNALS.has(event.attributes["signal"] ?? "")) {
          this.#killed.set(event.id, event.attributes["signal"] ?? "");
        }
        return null;
      case "stop":
        return { state: "halted", by: "docker stop", byDocker: true };
      case "die": {
        const signal = this.#killed.get(event.id);
        if (signal !== undefined) {
          return { state: "halted", by: `docker kill or stop (signal ${signal})`, byDocker: true };
        }
        const code = Number(event.attributes["exitCode"]);
        if (code === REBOOT_EXIT) return { state: "up", by: "reboot inside" };
        if (code === POWEROFF_EXIT) return { state: "halted", by: "poweroff inside" };
        return { state: "halted", by: `its own end (exit code ${code})` };
      }
      case "destroy":
        this.#killed.delete(event.id);
        return null;
      default:
        return null;
    }
  }
}
