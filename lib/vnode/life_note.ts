// The note of which life of a vnode was wired to its end last, on its control port: what such a life has inside is its
// user's. Gone with a reboot. Written by wire.ts and by the gate's script; it says nothing of what stands.
import type { Host, Look } from "../host/types.ts";
import { generationOf, type Life } from "./life.ts";
import { lifePath, RUN_DIRECTORY } from "./paths.ts";

/** What is noted of a life. */
export interface LifeNote {
  readonly generation: string;
  /** Host-side name of the control interface; "-" for none. */
  readonly port: string;
  /** Links that are being made for it since: cut off within, they would lack what they are given inside. */
  readonly half: ReadonlySet<string>;
}

/** The note, or null where there is none. */
export async function readLife(look: Look, vnode: string): Promise<LifeNote | null> {
  const text = await look.readText(lifePath(vnode));
  const [generation, port, ...half] = (text ?? "").trim().split(" ");
  return generation === undefined || port === undefined ? null : { generation, port, half: new Set(half) };
}

/** Notes a life. @param half links that are about to be made. @default {none} */
export async function writeLife(
  host: Host,
  vnode: string,
  life: Life,
  port: string | null,
  half: readonly string[] = [],
): Promise<void> {
  await host.makeDirectory(`${RUN_DIRECTORY}/life`, { mode: 0o700 });
  await host.writeText(lifePath(vnode), `${[generationOf(life), port ?? "-", ...half].join(" ")}\n`, {
    mode: 0o600,
  });
}
