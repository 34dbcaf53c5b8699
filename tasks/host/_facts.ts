// What the host tasks must know of the machine before they can say what they want of it. Only looks.
import process from "node:process";
import { hasInit } from "../../lib/host/facts.ts";
import type { Look } from "../../lib/host/types.ts";
import { DAEMON_JSON } from "../../lib/resource/engine.ts";
import { kernelModule } from "../../lib/resource/kinds/kernel_module.ts";

/** Facts of one machine at one moment. Plain data, so that tests can make them up. */
export interface HostFacts {
  /** Programs of PROGRAMS that are there. */
  readonly programs: readonly string[];
  /** True when this kernel loads modules. */
  readonly modules: boolean;
  /** True when nftables' bridge family can tell the bridge a frame is on (CONFIG_NFT_BRIDGE_META). */
  readonly bridgeMeta: boolean;
  /** The engine's own default runtime, as an absolute path. */
  readonly runc: string;
  /** Where daemon.json has the engine's root, if it says. */
  readonly dataRoot?: string;
  /** How berth itself is started: one path, or a runtime with its arguments. */
  readonly berth: readonly string[];
  /** The init system that runs. */
  readonly init: "systemd" | "sysvinit" | null;
}

/** Programs that the host tasks ask about. */
export const PROGRAMS = ["dockerd", "nft", "ip", "modprobe", "sysctl", "runc"] as const;
/** berth's own fixed PATH, in the order of a lookup. */
const FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Reads the facts. */
export async function hostFacts(look: Look): Promise<HostFacts> {
  const [paths, modules, { runc, dataRoot }, meta, init] = await Promise.all([
    Promise.all(PROGRAMS.map((program) => findProgram(look, program))),
    look.stat("/proc/modules"),
    engineFile(look),
    kernelModule("nft_meta_bridge").observe(look),
    hasInit(look),
  ]);
  return {
    programs: PROGRAMS.filter((_, index) => paths[index] !== null),
    modules: modules !== null,
    bridgeMeta: meta !== null && meta.how !== "unavailable",
    runc: runc ?? paths[PROGRAMS.indexOf("runc")] ?? "/usr/sbin/runc",
    ...(dataRoot === undefined ? {} : { dataRoot }),
    berth: berthCommand(),
    init,
  };
}

async function findProgram(look: Look, program: string): Promise<string | null> {
  for (const folder of FOLDERS) {
    const path = `${folder}/${program}`;
    if (await look.stat(path) !== null) return path;
  }
  return null;
}

/** What daemon.json has of these. Where the operator has chosen another default runtime, vnodes run on that one. */
async function engineFile(look: Look): Promise<{ readonly runc?: string; readonly dataRoot?: string }> {
  try {
    const file = JSON.parse(await look.readText(DAEMON_JSON) ?? "{}") as {
      readonly "default-runtime"?: string;
      readonly "data-root"?: unknown;
      readonly runtimes?: Readonly<Record<string, { readonly path?: string }>>;
    };
    const path = file.runtimes?.[file["default-runtime"] ?? ""]?.path;
    const root = file["data-root"];
    return {
      ...(path?.startsWith("/") ? { runc: path } : {}),
      ...(typeof root === "string" && root.startsWith("/") ? { dataRoot: root } : {}),
    };
  } catch {
    return {}; // The task that merges the file says what is wrong with it.
  }
}

/** The executable is one path; from source it is a runtime and the file it runs. */
function berthCommand(): readonly string[] {
  const { bun, deno } = process.versions as Record<string, string | undefined>;
  const script = process.argv[1] ?? "";
  // In a Bun executable argv[1] lies in its own virtual file system.
  if (bun !== undefined && script.startsWith("/$bunfs/")) return [process.execPath];
  return deno === undefined ? [process.execPath, script] : [process.execPath, "run", "-A", script];
}
