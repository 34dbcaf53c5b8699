// Which of ifupdown's files have the device's stanzas, and what speaks against rewriting them. Reads only.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { parseInterfaces, type Stanza, stanzasOf, withForm, withoutForm } from "./manager_interfaces.ts";
import type { ManagedDevice } from "./manager_types.ts";

export const INTERFACES = "/etc/network/interfaces";

/** One of ifupdown's files. */
export interface InterfacesFile {
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

/** The files ifupdown reads, in its order: interfaces(5), with source and source-directory followed. */
export async function interfacesFiles(look: Look, path = INTERFACES): Promise<readonly InterfacesFile[]> {
  const seen = new Set<string>();
  const read = async (one: string): Promise<InterfacesFile[]> => {
    const stat = seen.has(one) ? null : await look.stat(one);
    if (stat === null || stat.kind === "directory") return [];
    seen.add(one);
    const text = await look.readText(one);
    if (text === null) return [];
    const files: InterfacesFile[] = [{ path: one, text, mode: stat.kind === "link" ? 0o644 : stat.mode }];
    for (const { keyword, words } of parseInterfaces(text)) {
      if (!keyword.startsWith("source")) continue;
      for (const word of words) {
        const named = word.startsWith("/") ? word : `${one.slice(0, one.lastIndexOf("/"))}/${word}`;
        const found = keyword === "source" ? await expanded(look, named) : await inFolder(look, named);
        for (const next of found) files.push(...await read(next));
      }
    }
    return files;
  };
  return await read(path);
}

/** What a shell would make of a pattern in the last part of a path. */
async function expanded(look: Look, pattern: string): Promise<readonly string[]> {
  if (!/[*?[]/.test(pattern)) return [pattern];
  const at = pattern.lastIndexOf("/");
  const source = pattern.slice(at + 1).replaceAll(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", ".*").replaceAll("?", ".");
  const names = await look.list(pattern.slice(0, at)) ?? [];
  return names.filter((name) => !name.startsWith(".") && new RegExp(`^${source}$`).test(name))
    .map((name) => `${pattern.slice(0, at)}/${name}`);
}

/** ifupdown takes names of these characters only from a directory. */
async function inFolder(look: Look, folder: string): Promise<readonly string[]> {
  const names = await look.list(folder) ?? [];
  return names.filter((name) => /^[A-Za-z0-9_-]+$/.test(name)).map((name) => `${folder}/${name}`);
}

/** The device's stanzas in all files as they are without our form. */
export function ownStanzas(files: readonly InterfacesFile[], device: string): readonly Stanza[] {
  return files.flatMap(({ text }) => stanzasOf(parseInterfaces(withoutForm(text)), device));
}

/** The files that have stanzas of the device, rewritten. Without any there is nothing to rewrite: []. */
export function rewritten(files: readonly InterfacesFile[], found: ManagedDevice): readonly InterfacesFile[] {
  const out: InterfacesFile[] = [];
  for (const file of files) {
    const text = withoutForm(file.text);
    if (stanzasOf(parseInterfaces(text), found.device).length === 0) continue;
    out.push({ ...file, text: withForm(text, found, out.length === 0) });
  }
  return out;
}

/** Options by which a stanza makes the device part of something else, or none that a bridge can have as a port. */
const AGAINST = /^(bridge[-_]ports|bond[-_]\S+|slaves|wpa-\S+|wireless-\S+|ppp-\S+|provider)$/;
const METHODS = ["dhcp", "static", "auto", "manual"];
/** Where cloud-init writes anew at a boot what it is told about the network, unless it is told not to. */
const CLOUD_FILE = "/etc/network/interfaces.d/50-cloud-init";
const CLOUD_OFF = "/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg";

/**
 * Throws what speaks against rewriting, all at once.
 *
 * @throws {BerthError} code `refused`, an issue each.
 */
export async function checkInterfaces(
  look: Look,
  found: ManagedDevice,
  files: readonly InterfacesFile[],
): Promise<void> {
  const { device } = found;
  const issues = [];
  for (const { path, text } of files) {
    const stanzas = parseInterfaces(withoutForm(text));
    for (const { keyword, words } of stanzas) {
      if (keyword !== "mapping" && keyword !== "rename") continue;
      if (!words.some((word) => word.startsWith(device) || /[*?/]/.test(word))) continue;
      const line = `${keyword} ${words.join(" ")}`;
      issues.push({
        place: path,
        message: `"${line}" may give "${device}" another name`,
        next: "Take it away",
      });
    }
    for (const { words, options } of stanzasOf(stanzas, device)) {
      const [, family, method] = words;
      if (family === "inet" || family === "inet6") {
        if (!METHODS.includes(method ?? "") && words[2] !== undefined) {
          issues.push({
            place: path,
            message: `Method "${method}" of "iface ${words.join(" ")}" is not one a bridge can have`,
            wanted: METHODS.join(", "),
          });
        }
      }
      for (const [key, value] of options.filter(([one]) => AGAINST.test(one))) {
        issues.push({ place: path, message: `"${key} ${value}" keeps "${device}" from being a port` });
      }
    }
    if (path.startsWith(CLOUD_FILE) && stanzasOf(stanzas, device).length > 0 && !await isCloudOff(look)) {
      issues.push({
        place: path,
        message: "cloud-init writes this file anew",
        next: `Write "network: {config: disabled}" into "${CLOUD_OFF}"`,
      });
    }
  }
  if (issues.length === 0) return;
  throw new BerthError({
    code: "refused",
    object: `device ${device}`,
    message: `Cannot write the moved "${device}" into ifupdown's files`,
    next: "Change what is told below, then run this again",
    issues,
  });
}

async function isCloudOff(look: Look): Promise<boolean> {
  if (await look.stat("/etc/cloud/cloud-init.disabled") !== null) return true;
  const folder = "/etc/cloud/cloud.cfg.d";
  for (const name of await look.list(folder) ?? []) {
    const text = name.endsWith(".cfg") ? await look.readText(`${folder}/${name}`) : null;
    if (text !== null && /^network:\s*(\{\s*config:\s*disabled|\n\s+config:\s*disabled)/m.test(text)) {
      return true;
    }
  }
  return false;
}
