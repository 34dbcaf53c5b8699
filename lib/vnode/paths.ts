// Where a vnode's things stand on the host. The gate's script knows the same paths (lib/gate/script.ts).

/** Journal and host state, 0700. */
export const STATE_DIRECTORY = "/var/lib/berth";
/** Locks, lives, control socket; emptied by a reboot. 0700. */
export const RUN_DIRECTORY = "/run/berth";
/** A directory per vnode: record, resolv.conf. */
export const VNODES_DIRECTORY = `${STATE_DIRECTORY}/vnodes`;
/** A directory per container id: the batches the gate runs. */
export const GATE_DIRECTORY = `${STATE_DIRECTORY}/gate`;

/** The record of a vnode, JSON. */
export function recordPath(vnode: string): string {
  return `${VNODES_DIRECTORY}/${vnode}/record.json`;
}

/** The vnode's own resolv.conf, bound into it. */
export function resolvPath(vnode: string): string {
  return `${VNODES_DIRECTORY}/${vnode}/resolv.conf`;
}

/** The ready-made batches of a container. */
export function gatePath(containerId: string): string {
  return `${GATE_DIRECTORY}/${containerId}`;
}

/** The lock of a vnode. Never held across a call of Docker's about its container. */
export function vnodeLockPath(vnode: string): string {
  return `${RUN_DIRECTORY}/lock/vnode-${vnode}`;
}

/** The lock under which a vnode's record is changed; held for a read and a write, never longer. */
export function recordLockPath(vnode: string): string {
  return `${RUN_DIRECTORY}/lock/record-${vnode}`;
}

/** Held by the one command that makes, starts, halts or destroys a vnode (turn.ts). */
export function turnLockPath(vnode: string): string {
  return `${RUN_DIRECTORY}/lock/turn-${vnode}`;
}

/** Held while it is decided which lans nobody is on any more, or while a new vnode's are made sure of. */
export const LANS_LOCK = `${RUN_DIRECTORY}/lock/lans`;

/** What was wired last: "GENERATION PORT", written by whoever wired. */
export function lifePath(vnode: string): string {
  return `${RUN_DIRECTORY}/life/${vnode}`;
}
