// One kernel module, loaded or built in. Volatile. Whether the kernel has modules at all is part of what is found.
import type { Look } from "../../host/types.ts";
import type { Change, Resource } from "../types.ts";

/** How the kernel has it. */
export interface KernelModuleState {
  /** `absent`: could be loaded. `unavailable`: this kernel loads no modules, or has no file of that one. */
  readonly how: "loaded" | "built-in" | "absent" | "unavailable";
  /** Somebody holds it: it cannot be unloaded. */
  readonly used: boolean;
}

/** What else tells that a module's feature is there. */
export interface KernelModuleOptions {
  /** Fine if it is not to be had: what needs it will say so. @default {false} */
  readonly optional?: boolean;
  /** A path that exists where the feature does, for kernels that do not list what is built in. */
  readonly sign?: string;
}

/** A kernel module, loaded unless built in. Undo unloads it if nobody holds it and it was not loaded before. */
export function kernelModule(name: string, options: KernelModuleOptions = {}): Resource<KernelModuleState> {
  const id = `module ${name}`;
  const load = { run: { argv: ["modprobe", "--", name] } };
  // Exit 1: not loaded (fine), or taken into use in between (the look after it tells).
  const unload = { run: { argv: ["modprobe", "-r", "--", name], okExit: [0, 1] } };
  return {
    id,
    desired: { how: "loaded", used: false },
    volatile: true,
    observe: (look) => observeModule(look, name.replaceAll("-", "_"), options.sign),
    diff(found) {
      if (found?.how === "loaded" || found?.how === "built-in") return [];
      if (options.optional && found?.how === "unavailable") return [];
      const why = found?.how === "unavailable" ? "not to be had for this kernel" : "not loaded";
      const change: Change = { resource: id, verb: "create", why, risk: "safe", do: [load], undo: [unload] };
      return [change];
    },
    prior: (found) => found,
    revert(prior, found) {
      if (found?.how !== "loaded" || found.used || prior?.how === "loaded") return [];
      const why = "loaded by berth";
      return [{ resource: id, verb: "delete", why, risk: "safe", do: [unload], undo: [load] }];
    },
  };
}

async function observeModule(look: Look, name: string, sign?: string): Promise<KernelModuleState> {
  const modules = await look.readText("/proc/modules");
  const line = modules?.split("\n").find((text) => text.startsWith(`${name} `));
  // "bridge 421888 1 br_netfilter, Live 0x…": size, then how many hold it.
  if (line !== undefined) return { how: "loaded", used: line.split(" ")[2] !== "0" };
  const release = (await look.readText("/proc/sys/kernel/osrelease"))?.trim() ?? "";
  const builtIn = await look.readText(`/lib/modules/${release}/modules.builtin`) ?? "";
  const isSigned = sign !== undefined && (await look.stat(sign)) !== null;
  // Only a built-in module with parameters or a version has a directory without being in /proc/modules.
  if (lists(builtIn, name) || isSigned || (await look.stat(`/sys/module/${name}`)) !== null) {
    return { how: "built-in", used: true };
  }
  const files = modules === null ? "" : await look.readText(`/lib/modules/${release}/modules.dep`) ?? "";
  return { how: lists(files, name) ? "absent" : "unavailable", used: false };
}

/** Whether a list of depmod's (modules.builtin, modules.dep) has a module; "kernel/net/br-x.ko.xz: …" a line. */
function lists(text: string, name: string): boolean {
  return text.split("\n").some((line) => {
    const file = /([^/:]+)\.ko(?:\.\w+)?(?::|$)/.exec(line)?.[1];
    return file?.replaceAll("-", "_") === name;
  });
}
