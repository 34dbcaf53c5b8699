// The host's configuration when host.yaml is faulty: the last one that was good, of which a copy is kept. For what must
// not hang on a slip in that file (boot, halt, the watch, host down). Whoever prepares the host says when to keep it.
import { dirname } from "node:path";
import type { Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { HOST_NAMES, loadHostConfig, type LoadOptions } from "./load.ts";
import type { Config } from "./types.ts";

/** The copy: the text of the last host.yaml that parsed; empty where there was none. */
export const LAST_GOOD = "/var/lib/berth/host.yaml.last-good";
/** The only directory of which a copy is kept: one that --config names must not pass for the machine's own. */
const OWN_DIRECTORY = "/etc/berth";

type Where = Pick<LoadOptions, "look" | "directory">;

/** The host's configuration, whatever host.yaml is like. */
export interface SomeHost {
  /** Without lans and vnodes. */
  readonly config: Config;
  /** Where it is from; `defaults`: the file is faulty, and no good one is kept. */
  readonly from: "file" | "last good" | "defaults";
  /** All that is wrong with host.yaml; null where nothing is. */
  readonly fault: BerthError | null;
  /** What other files are to be loaded beside: it has the good text in host.yaml's place. */
  readonly look: LoadOptions["look"];
}

/** Loads `host.yaml` alone, or what stands in for it where it is faulty or cannot be read. */
export async function loadSomeHost({ look, directory = OWN_DIRECTORY }: Where): Promise<SomeHost> {
  try {
    return { config: await loadHostConfig({ look, directory }), from: "file", fault: null, look };
  } catch (fault) {
    if (!(fault instanceof BerthError)) throw fault;
    const text = directory === OWN_DIRECTORY ? await look.readText(LAST_GOOD).catch(() => null) : null;
    const names = HOST_NAMES.map((name) => `${directory}/${name}`);
    const instead = (text: string): LoadOptions["look"] => ({
      list: (path) => look.list(path),
      readText: (path) =>
        names.includes(path) ? Promise.resolve(path === names[0] ? text : null) : look.readText(path),
    });
    for (const [from, given] of [["last good", text], ["defaults", ""]] as const) {
      if (given === null) continue;
      const beside = instead(given);
      // What an older berth took for good may not be so to this one.
      const config = await loadHostConfig({ look: beside, directory }).catch(() => null);
      if (config !== null) return { config, from, fault, look: beside };
    }
    throw fault;
  }
}

/** Keeps the host's own file, which has just been read well. Does nothing where the copy is the same (mode 0600). */
export async function keepGood(host: Host, directory: string): Promise<void> {
  if (directory !== OWN_DIRECTORY) return;
  const texts = await Promise.all(HOST_NAMES.map((name) => host.readText(`${directory}/${name}`)));
  const text = texts.find((one) => one !== null) ?? "";
  if (await host.readText(LAST_GOOD) === text) return;
  if (await host.stat(dirname(LAST_GOOD)) === null) {
    await host.makeDirectory(dirname(LAST_GOOD), { mode: 0o700 });
  }
  await host.writeText(LAST_GOOD, text, { mode: 0o600 });
}

/** Takes the copy away. Does nothing where there is none. */
export async function forgetGood(host: Host): Promise<void> {
  if (await host.stat(LAST_GOOD) !== null) await host.remove(LAST_GOOD);
}
