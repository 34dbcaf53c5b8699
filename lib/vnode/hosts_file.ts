// Our block in a vnode's /etc/hosts: Docker's file on the host, bound into the container. Its lines are Docker's and the
// user's but for ours between two marks. Called by wire.ts under the vnode's lock; what the lines are is hosts.ts's.
import type { Host, Look } from "../host/types.ts";
import type { Step } from "./step.ts";
import { HOSTS_BEGIN, HOSTS_END, hostsBlock, type Wiring } from "./wiring.ts";

/** A hosts file's text with our block as it should be: in the place it has, else at the end. "" takes it away. */
export function withBlock(text: string, block: string): string {
  const begin = text.startsWith(`${HOSTS_BEGIN}\n`) ? 0 : text.indexOf(`\n${HOSTS_BEGIN}\n`) + 1;
  if (begin === 0 && !text.startsWith(HOSTS_BEGIN)) {
    if (block === "") return text;
    return text + (text.endsWith("\n") || text === "" ? "" : "\n") + block;
  }
  const end = text.indexOf(`\n${HOSTS_END}\n`, begin);
  // Without its end it was cut off within: what follows is ours.
  const after = end < 0 ? "" : text.slice(end + HOSTS_END.length + 2);
  return text.slice(0, begin) + block + after;
}

/** The step that a vnode's names need, or null where its file says what it should, or is not there. */
export async function namesStep(look: Look, wiring: Wiring, path: string | undefined): Promise<Step | null> {
  const text = path === undefined ? null : await look.readText(path);
  if (text === null || withBlock(text, hostsBlock(wiring)) === text) return null;
  return { resource: `names ${wiring.vnode}`, verb: "update", why: "other names in /etc/hosts" };
}

/** Makes our block so, in place: the vnode that runs has this very file bound. Does nothing where it is so. */
export async function writeNames(host: Host, wiring: Wiring, path: string | undefined): Promise<void> {
  const text = path === undefined ? null : await host.readText(path);
  if (path === undefined || text === null) return;
  const wanted = withBlock(text, hostsBlock(wiring));
  if (wanted === text) return;
  await host.writeInPlace(path, wanted);
}
