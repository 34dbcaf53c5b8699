// berth's place in the machine's boot, as a resource: its units or init scripts, that they are enabled, and that
// systemd has read them. What stands in them is systemd_units.ts' and sysv_scripts.ts'. A file without berth's mark
// is somebody else's: never written over, never removed. So undo needs no memory: what bears the mark goes.
import type { Look } from "../../host/types.ts";
import { BerthError } from "../../log/error.ts";
import { fileChange, type FileState } from "../kinds/file.ts";
import type { Change, Op, Resource } from "../types.ts";
import { MARK } from "./mark.ts";
import { SCRIPT_FOLDER, sysvScripts } from "./sysv_scripts.ts";
import { HALT_UNIT, systemdUnits, UNIT_FOLDER, WANTED_BY, WATCH_UNIT } from "./systemd_units.ts";

/** Init systems berth can be installed for. */
export type RcInit = "systemd" | "sysvinit";

/** What is wanted. */
export interface RcWish {
  readonly init: RcInit;
  /** How berth is started: an absolute path, maybe with more words. */
  readonly berth: readonly string[];
  /** The init system runs, and must be told of changes; false in an image's chroot. */
  readonly live: boolean;
  /** What goes before each path, for tests. @default {""} */
  readonly base?: string;
}

/** What is found. Plain data. */
export interface RcState {
  /** By path; null where there is nothing. */
  readonly files: Readonly<Record<string, FileState | null>>;
  /** Names of units or scripts that start at boot. */
  readonly enabled: readonly string[];
  /** systemd has not read what stands in the files. */
  readonly stale: boolean;
  /** Units of ours that systemd holds for running, other than the watch. */
  readonly active: readonly string[];
}

/** Stands for the text of a unit that somebody has masked: his, so an undo leaves it and takes the others away. */
export const MASKED = "masked\n";

const NOTHING: RcState = { files: {}, enabled: [], stale: false, active: [] };

/** berth starts at boot and halts the vnodes at shutdown, by the machine's own init system. */
export function rc(wish: RcWish): Resource<RcState, null> {
  const id = `rc ${wish.init}`;
  const { texts, mode, pathOf } = layout(wish);
  const names = Object.keys(texts);
  const wanted: RcState = {
    files: Object.fromEntries(names.map((name) => [pathOf(name), { text: texts[name]!, mode }])),
    enabled: names,
    stale: false,
    active: [],
  };
  const systemd = wish.init === "systemd";
  return {
    id,
    desired: wanted,
    observe: (look) => observeRc(look, wish),
    diff(found) {
      const state = found ?? NOTHING;
      const written = Object.entries(wanted.files).flatMap(([path, file]): Change[] => {
        const before = state.files[path] ?? null;
        if (before !== null && !isOurs(before)) throw foreign(path, before);
        const why = difference(before, file!);
        if (why === null) return [];
        const change = fileChange(`file ${path}`, path, before, file, why);
        // A script whose header changes has to be put into the boot's order anew, also after a crash in between.
        const name = path.slice(path.lastIndexOf("/") + 1);
        const out = systemd || before === null ? [] : disableOps(wish, name);
        return [{ ...change, do: [...out, ...change.do] }];
      });
      const missing = names.filter((name) => !state.enabled.includes(name));
      const idle = systemd && wish.live && !state.active.includes(HALT_UNIT);
      const enable = systemd ? missing : written.length > 0 ? names : missing;
      const reasons = [
        ...(missing.length > 0 ? [`not enabled: ${missing.join(", ")}`] : []),
        ...(state.stale ? ["systemd has read another text"] : []),
        ...(idle ? [`${HALT_UNIT} is not active`] : []),
        ...(written.length > 0 ? ["its files change"] : []),
      ];
      if (reasons.length === 0) return [];
      const told: Op[] = systemd && wish.live
        ? [systemctl("daemon-reload"), ...(idle ? [systemctl("start", HALT_UNIT)] : [])]
        : [];
      return [
        ...written,
        {
          resource: id,
          verb: missing.length === names.length ? "create" : "update",
          why: reasons.join("; "),
          risk: "safe",
          do: [...enable.flatMap((name) => enableOps(wish, name)), ...told],
          undo: missing.flatMap((name) => disableOps(wish, name)),
        },
      ];
    },
    prior: () => null,
    revert: (_prior, found) => removal(wish, found ?? NOTHING),
  };
}

/** All that bears berth's mark goes; what somebody else put there stays. */
function removal(wish: RcWish, state: RcState): readonly Change[] {
  const { pathOf } = layout(wish);
  const systemd = wish.init === "systemd";
  const ours = Object.entries(state.files).filter(([, file]) => file !== null && isOurs(file));
  const names = Object.keys(layout(wish).texts);
  const theirs = new Set(names.filter((name) => {
    const file = state.files[pathOf(name)] ?? null;
    return file !== null && !isOurs(file);
  }));
  const enabled = state.enabled.filter((name) => !theirs.has(name));
  const active = state.active.filter((name) => !theirs.has(name));
  if (ours.length + enabled.length + active.length === 0) return [];
  // systemd is told before it ends them: a unit that is gone has no ExecStop, and this must halt no vnode.
  const told: readonly Op[] = systemd && wish.live
    ? [systemctl("daemon-reload"), ...(active.length > 0 ? [systemctl("stop", ...active)] : [])]
    : [];
  return [{
    resource: `rc ${wish.init}`,
    verb: "delete",
    why: "installed by berth",
    risk: "safe",
    do: [
      ...enabled.flatMap((name) => disableOps(wish, name)),
      ...ours.map(([path]): Op => ({ remove: path })),
      ...told,
    ],
    undo: [],
  }];
}

/** Names, texts and places of what is installed for an init system. */
function layout({ init, berth, base = "" }: RcWish) {
  const systemd = init === "systemd";
  const folder = base + (systemd ? UNIT_FOLDER : SCRIPT_FOLDER);
  return {
    texts: systemd ? systemdUnits(berth) : sysvScripts(berth),
    mode: systemd ? 0o644 : 0o755,
    pathOf: (name: string) => `${folder}/${name}`,
  };
}

const linkPath = (base: string, name: string) => `${base}${UNIT_FOLDER}/${WANTED_BY}.wants/${name}`;

/** As `systemctl enable` does it; by hand, since in an image there may be no systemctl that can. */
function enableOps({ init, base = "" }: RcWish, name: string): readonly Op[] {
  if (init === "sysvinit") return [{ run: { argv: ["update-rc.d", name, "defaults"] } }];
  const link = linkPath(base, name);
  return [
    { directory: link.slice(0, link.lastIndexOf("/")) },
    { run: { argv: ["ln", "-sfn", `${UNIT_FOLDER}/${name}`, link] } },
  ];
}

function disableOps({ init, base = "" }: RcWish, name: string): readonly Op[] {
  if (init === "sysvinit") return [{ run: { argv: ["update-rc.d", "-f", name, "remove"] } }];
  return [{ remove: linkPath(base, name) }];
}

/** Jobs of others may come first; an engine that is being started is waited for. */
function systemctl(verb: string, ...units: readonly string[]): Op {
  return { run: { argv: ["systemctl", verb, ...units], timeoutMs: 180_000 } };
}

async function observeRc(look: Look, wish: RcWish): Promise<RcState> {
  const { texts, pathOf } = layout(wish);
  const names = Object.keys(texts);
  const files = Object.fromEntries(
    await Promise.all(names.map(async (name) => [pathOf(name), await observeOne(look, pathOf(name))])),
  );
  const enabled = wish.init === "systemd"
    ? await enabledUnits(look, names, wish.base ?? "")
    : await registeredScripts(look, names);
  const seen = wish.init === "systemd" && wish.live
    ? await observeUnits(look, names)
    : { stale: false, active: [] };
  return { files, enabled, ...seen };
}

async function observeOne(look: Look, path: string): Promise<FileState | null> {
  const found = await look.stat(path);
  if (found === null) return null;
  if (found.kind === "link" && await look.readLink(path) === "/dev/null") {
    return { text: MASKED, mode: found.mode };
  }
  if (found.kind !== "file") return { text: "", mode: found.mode };
  return { text: await look.readText(path) ?? "", mode: found.mode };
}

async function enabledUnits(look: Look, names: readonly string[], base: string): Promise<readonly string[]> {
  const links = await Promise.all(names.map((name) => look.readLink(linkPath(base, name))));
  return names.filter((_, index) => links[index] !== null);
}

/** Runlevel 2 is what Debian boots into; the others follow it. */
async function registeredScripts(look: Look, names: readonly string[]): Promise<readonly string[]> {
  const links = await look.list("/etc/rc2.d") ?? [];
  return names.filter((name) => links.some((link) => /^S\d\d/.test(link) && link.slice(3) === name));
}

async function observeUnits(
  look: Look,
  names: readonly string[],
): Promise<Pick<RcState, "stale" | "active">> {
  const properties = ["-p", "Id", "-p", "ActiveState", "-p", "NeedDaemonReload"];
  const { stdout } = await look.query({ argv: ["systemctl", "show", ...properties, ...names] });
  const units = stdout.trim().split("\n\n").map((block) =>
    Object.fromEntries(block.split("\n").map((line) => line.split(/=(.*)/s, 2))) as Record<string, string>
  );
  return {
    stale: units.some((one) => one.NeedDaemonReload === "yes"),
    active: units.filter((one) => one.Id !== WATCH_UNIT && one.ActiveState === "active").map((one) =>
      one.Id!
    ),
  };
}

function isOurs({ text }: FileState): boolean {
  return text.split("\n").includes(MARK);
}

function difference(found: FileState | null, wanted: FileState): string | null {
  if (found === null) return "missing";
  if (found.text !== wanted.text) return "text differs";
  return found.mode === wanted.mode
    ? null
    : `mode 0${found.mode.toString(8)}, wanted 0${wanted.mode.toString(8)}`;
}

function foreign(path: string, { text }: FileState): BerthError {
  const name = path.slice(path.lastIndexOf("/") + 1);
  if (text === MASKED) {
    return new BerthError({
      code: "refused",
      object: `file ${path}`,
      message: `${name} is masked`,
      next: `systemctl unmask ${name}`,
    });
  }
  return new BerthError({
    code: "refused",
    object: `file ${path}`,
    message: text === "" ? "Something that is no file stands there" : "Found a file that is not berth's",
    next: `Move "${path}" away, then run this again`,
  });
}
