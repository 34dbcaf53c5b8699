// Live shaping made lasting: into the file that declares the link, and from the record's live values into its spec.
// What the text comes to is lib/config/save_shape.ts's.
import { readConfigFiles } from "../config/load.ts";
import { savedShape } from "../config/save_shape.ts";
import type { Shapes } from "../config/shape_text.ts";
import type { Host } from "../host/types.ts";
import { withLive } from "./live.ts";
import { amendRecord, type VnodeRecord } from "./record.ts";

/** A file and the text it is to have. */
export interface Saving {
  readonly path: string;
  readonly text: string;
  readonly changed: boolean;
}

/**
 * What the file that declares a link has to be. Writes nothing.
 *
 * @throws {BerthError} code `refused` where it cannot be edited so that nothing else changes; `config`.
 */
export async function planSaving(
  look: Host,
  directory: string,
  record: VnodeRecord,
  link: string,
  shapes: Shapes,
): Promise<Saving> {
  const path = record.spec.source.replace(/:\d+$/, "");
  const files = await readConfigFiles({ look, directory });
  const text = savedShape(files, { path, vnode: record.name, link, shapes });
  return { path, text, changed: files.find((file) => file.path === path)?.text !== text };
}

/** Writes the file, and takes the values over from live into the record's spec: nothing is wired otherwise by that. */
export async function saveShape(
  host: Host,
  record: VnodeRecord,
  link: string,
  shapes: Shapes,
  saving: Saving,
): Promise<void> {
  // Through a symbolic link, and with the owner and mode that the file has.
  if (saving.changed) await host.writeText(saving.path, saving.text);
  const { egress, ingress } = shapes;
  await amendRecord(host, record, (now) => {
    const links = now.spec.links.map((one) => one.name === link ? { ...one, egress, ingress } : one);
    return withLive({ ...now, spec: { ...now.spec, links } }, link, {
      egress: undefined,
      ingress: undefined,
    });
  });
}
