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
  /** What is to be kept once the host is prepared: the text that was read well, empty where there is no file, or null. */
  readonly text: string | null;
  /** What other files are to be loaded beside: it has the text of this configuration in host.yaml's place. */
  readonly look: LoadOptions["look"];
}

/** Loads `host.yaml` alone, or what stands in for it where it is faulty or cannot be read. */
export async function loadSomeHost({ look, directory = OWN_DIRECTORY }: Where): Promise<SomeHost> {
  const names = HOST_NAMES.map((name) => `${directory}/${name}`);
  const beside = (readText: (path: string) => Promise<string | null>): LoadOptions["look"] => ({
    list: (path) => look.list(path),
    readText: (path) => names.includes(path) ? readText(path) : look.readText(path),
  });
  // Read once: somebody may write it at any time.
  const read = new Map<string, Promise<string | null>>();
  const once = beside((path) => {
    const text = read.get(path) ?? look.readText(path);
    read.set(path, text);
    return text;
  });
  try {
    const config = await loadHostConfig({ look: once, directory });
    const texts = await Promise.all(names.map((name) => once.readText(name)));
    return {
      config,
      from: "file",
      fault: null,
      text: texts.find((one) => one !== null) ?? "",
      look: once,
    };
  } catch (fault) {
    if (!(fault instanceof BerthError)) throw fault;
    const text = directory === OWN_DIRECTORY ? await look.readText(LAST_GOOD).catch(() => null) : null;
    for (const [from, given] of [["last good", text], ["defaults", ""]] as const) {
      if (given === null) continue;
      const instead: LoadOptions["look"] = {
        ...beside((path) => Promise.resolve(path === names[0] ? given : null)),
        // Else those that are left out here would pass for links to nothing.
        list: async (path) =>
          (await look.list(path))?.filter((name) => !names.includes(`${path}/${name}`)) ?? null,
      };
      // What an older berth took for good may not be so to this one.
      const config = await loadHostConfig({ look: instead, directory }).catch(() => null);
      if (config !== null) return { config, from, fault, text: null, look: instead };
    }
    throw fault;
  }
}

/**
 * Keeps the text that `loadSomeHost` read well, not the one that stands by now. Does nothing where it is null, is of
 * another directory than the machine's own, or is what the copy has (mode 0600).
 */
export async function keepGood(host: Host, directory: string, text: string | null): Promise<void> {
  if (text === null || directory !== OWN_DIRECTORY) return;
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
