// Drop-ins of systemd units: one text for several units, and a systemd that has read it. Nothing where systemd does
// not run. One resource for all of them, because to be read again takes systemd seconds on a slow machine.
import { hasInit } from "../../host/facts.ts";
import type { Look } from "../../host/types.ts";
import type { Change, Op, Resource } from "../types.ts";
import { fileChange, type FileState, observeFile } from "./file.ts";

/** What is found. */
export interface DropInState {
  readonly systemd: boolean;
  /** In the order of the units. */
  readonly files: readonly (FileState | null)[];
  /** systemd has not read what stands there. */
  readonly stale: boolean;
}

/** /etc/systemd/system/UNIT.d/NAME.conf with that text. Undo removes them, or gives back what stood there. */
export function dropIns(
  units: readonly string[],
  name: string,
  text: string,
): Resource<DropInState, readonly (FileState | null)[]> {
  const paths = units.map((unit) => `/etc/systemd/system/${unit}.d/${name}.conf`);
  const id = `drop-ins ${name}`;
  const wanted: FileState = { text, mode: 0o644 };
  const reload: Op = { run: { argv: ["systemctl", "daemon-reload"], timeoutMs: 180_000 } };
  const isRight = (file: FileState | null | undefined) => file?.text === text && file.mode === wanted.mode;
  const change = (
    found: DropInState,
    to: readonly (FileState | null)[],
    verb: Change["verb"],
    why: string,
  ): Change => {
    const files = paths.map((path, at) => fileChange(id, path, found.files[at] ?? null, to[at] ?? null, why));
    return {
      ...{ resource: id, verb, why, risk: "safe" },
      do: [...files.flatMap((file) => file.do), reload],
      undo: [...files.flatMap((file) => file.undo), reload],
    };
  };
  return {
    id,
    desired: { systemd: true, files: units.map(() => wanted), stale: false },
    async observe(look) {
      if (await hasInit(look) !== "systemd") return { systemd: false, files: [], stale: false };
      return {
        systemd: true,
        files: await Promise.all(paths.map((path) => observeFile(look, path))),
        stale: await isStale(look, units),
      };
    },
    diff(found) {
      if (found === null || !found.systemd) return [];
      const missing = units.filter((_, at) => !isRight(found.files[at]));
      if (missing.length === 0 && !found.stale) return [];
      const verb = found.files.every((file) => file === null) ? "create" : "update";
      const why = missing.length === 0 ? "systemd has not read them" : `not as wanted: ${missing.join(", ")}`;
      return [change(found, units.map(() => wanted), verb, why)];
    },
    prior: (found) => found?.files ?? [],
    revert(prior, found) {
      if (found === null || found.files.every((file, at) => file === null || file.text === prior[at]?.text)) {
        return [];
      }
      return [change(found, prior, "delete", "written by berth")];
    },
  };
}

async function isStale(look: Look, units: readonly string[]): Promise<boolean> {
  const { stdout } = await look.query({
    argv: ["systemctl", "show", "--property=NeedDaemonReload", "--value", ...units],
    okExit: [0, 1],
  });
  return /^yes$/m.test(stdout);
}
