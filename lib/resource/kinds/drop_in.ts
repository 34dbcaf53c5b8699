// A drop-in of a systemd unit: a file, and a systemd that has read it. Nothing where systemd does not run.
import { hasInit } from "../../host/facts.ts";
import type { Change, Op, Resource } from "../types.ts";
import { fileChange, type FileState, observeFile } from "./file.ts";

/** What is found. */
export interface DropInState {
  readonly systemd: boolean;
  readonly file: FileState | null;
  /** systemd has not read what stands there. */
  readonly stale: boolean;
}

/** /etc/systemd/system/UNIT.d/NAME.conf with that text. Undo removes it, or gives back what stood there. */
export function dropIn(unit: string, name: string, text: string): Resource<DropInState, FileState | null> {
  const path = `/etc/systemd/system/${unit}.d/${name}.conf`;
  const id = `drop-in ${path}`;
  const wanted: FileState = { text, mode: 0o644 };
  const reload: Op = { run: { argv: ["systemctl", "daemon-reload"], timeoutMs: 90_000 } };
  const with_ = (change: Change): Change => ({
    ...change,
    do: [...change.do, reload],
    undo: [...change.undo, reload],
  });
  return {
    id,
    desired: { systemd: true, file: wanted, stale: false },
    async observe(look) {
      if (await hasInit(look) !== "systemd") return { systemd: false, file: null, stale: false };
      const file = await observeFile(look, path);
      const shown = await look.query({
        argv: ["systemctl", "show", "--property=NeedDaemonReload", "--value", unit],
        okExit: [0, 1],
      });
      return { systemd: true, file, stale: shown.stdout.trim() === "yes" };
    },
    diff(found) {
      if (found === null || !found.systemd) return [];
      const isRight = found.file?.text === text && found.file.mode === wanted.mode;
      if (isRight && !found.stale) return [];
      const why = found.file === null ? "missing" : isRight ? "systemd has not read it" : "text differs";
      return [with_(fileChange(id, path, found.file, wanted, why))];
    },
    prior: (found) => found?.file ?? null,
    revert(prior, found) {
      if (found === null || found.file === null || found.file.text === prior?.text) return [];
      return [with_(fileChange(id, path, found.file, prior, "written by berth"))];
    },
  };
}
