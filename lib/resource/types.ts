// The words of the resource engine: what a thing is, what a difference is, what ensure promises.
import type { Command, EngineRequest, Look } from "../host/types.ts";

/** One step that changes the machine, as data: printable, comparable, replayable. */
export type Op =
  | { readonly run: Command }
  | { readonly write: string; readonly text: string; readonly mode?: number }
  | { readonly directory: string; readonly mode?: number }
  | { readonly remove: string }
  | { readonly engine: EngineRequest }
  | { readonly daemon: DaemonStart };

/** Starting a daemon and waiting until it is ready: lib/resource/daemon.ts. */
export interface DaemonStart {
  /** Ends when the daemon is ready, or fails. */
  readonly start: Command;
  /** Where the daemon's pid stands while `start` still waits: it is noticed at once when that process is gone. */
  readonly pidFile?: string;
  /** Prints the daemon's last words, for the message. */
  readonly log: Command;
  /** What to look at when it does not start. */
  readonly next: string;
}

/**
 * `safe`: nobody notices. `disruptive`: something running is restarted or loses traffic.
 * `destructive`: data is lost; needs consent given per object in the configuration.
 */
export type Risk = "safe" | "disruptive" | "destructive";

/** One difference between what is and what is wanted, and how it is made away with. */
export interface Change {
  /** The object, such as "file /etc/docker/daemon.json". */
  readonly resource: string;
  readonly verb: "create" | "update" | "replace" | "delete" | "adopt" | "restore";
  /** Never empty: "missing"; "mtu 1500, wanted 1450". */
  readonly why: string;
  readonly risk: Risk;
  /** The fingerprint of content that is lost: consent must name it, too (lib/resource/consent.ts). */
  readonly found?: string;
  readonly do: readonly Op[];
  /** Roll-back within this run only. */
  readonly undo: readonly Op[];
}

/** A thing that must exist (or must not). */
export interface Resource<State, Prior = State | null> {
  /** Kind and name, unique: "sysctl net.ipv4.ip_forward". */
  readonly id: string;
  /** Normalised: only what the configuration specifies. */
  readonly desired: State;
  /** True for kernel state that a reboot forgets: redone as "restored", and gone when the boot id differs. */
  readonly volatile?: boolean;
  observe(look: Look): Promise<State | null>;
  /** Pure; [] means converged. */
  diff(found: State | null): readonly Change[];
  /** What the journal keeps: the owned keys as they were before us. Must survive JSON. */
  prior(found: State | null): Prior;
  /**
   * For kinds whose owned keys may grow from run to run: the first run's prior with what a later one adds.
   * Absent: the first prior stands alone.
   */
  mergePriors?(first: Prior, later: Prior): Prior;
  /** Pure; for `host down`; others' edits since then survive. [] when there is nothing of ours left. */
  revert(prior: Prior, found: State | null): readonly Change[];
}

export interface Ensured<State> {
  readonly state: State;
  readonly changed: boolean;
  readonly changes: readonly Change[];
}

/**
 * Makes a thing so. Plan mode answers with the desired state and changes nothing.
 *
 * Apply mode: observe, diff, refuse what lacks consent, and for each change: journal "begin" with the values
 * before us (fsynced), run its ops, journal "done"; then observe again: a difference that is left is an error.
 */
export type Ensure = <State, Prior>(resource: Resource<State, Prior>) => Promise<Ensured<State>>;
