// The laws over berth's units and init scripts: units and their links on the real file system without an init system
// that would have to be told, both kinds on a fake host whose init system keeps what it was told.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import { createHost } from "../../lib/host/host.ts";
import type { EngineDoor, Host } from "../../lib/host/types.ts";
import { rc } from "../../lib/resource/rc/rc.ts";
import { watchGuard } from "../../lib/resource/rc/watch_guard.ts";
import { noStarterUnits } from "../../lib/resource/starters.ts";
import { createFakeHost, type FakeCommand, type FakeOutput } from "../fake/host.ts";
import { laws, type Subject, type World } from "./laws.ts";

const BERTH = ["/usr/local/bin/berth"];
const UNITS = "/etc/systemd/system";
const WANTS = `${UNITS}/multi-user.target.wants`;

function realWorld(): Promise<World & { readonly base: string }> {
  const base = mkdtempSync("/tmp/berth-rc-");
  mkdirSync(join(base, WANTS), { recursive: true });
  return Promise.resolve({
    host: createHost({ runner: "lean" }),
    base,
    journal: `${base}/journal/journal`,
    dump: () => Promise.resolve(listing(base).join("\n")),
    close: () => Promise.resolve(rmSync(base, { recursive: true })),
  });
}

function listing(base: string): string[] {
  return readdirSync(base, { recursive: true }).map(String).filter((path) => !path.startsWith("journal"))
    .sort()
    .map((path) => {
      const full = join(base, path);
      const link = linkOf(full);
      if (link !== null) return `${path} -> ${link}`;
      const found = statSync(full);
      const text = found.isFile() ? readFileSync(full, "utf8") : "directory";
      return `${path} ${found.mode.toString(8)} ${JSON.stringify(text)}`;
    });
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null; // no link
  }
}

laws("units in an image", (world): Subject => {
  const { base } = world as World & { base: string };
  const dropIn = `${base}${UNITS}/berth-watch.service.d/mine.conf`;
  return {
    resources: [rc({ init: "systemd", berth: BERTH, live: false, base })],
    plant: (host) => host.writeText(`${base}${UNITS}/foreign.service`, "[Service]\nExecStart=/bin/true\n"),
    drift: { of: "rc systemd", by: (host) => host.remove(`${base}${WANTS}/berth-boot.service`) },
    edit: {
      by: (host) => host.writeText(dropIn, "[Service]\nNice=1\n"),
      survives: async (host) =>
        await host.readText(dropIn) !== null &&
        await host.readText(`${base}${UNITS}/berth-watch.service`) === null,
    },
    async gone(host) {
      for (const name of ["prepare", "halt", "boot", "watch"]) {
        await host.remove(`${base}${WANTS}/berth-${name}.service`);
        await host.remove(`${base}${UNITS}/berth-${name}.service`);
      }
    },
  };
}, realWorld);

/** An engine that has one vnode, whatever it is asked for. */
const ONE_VNODE: EngineDoor = {
  get: () => Promise.resolve({ status: 200, body: [{ Id: "1", Names: ["/left"] }] }),
  call: () => Promise.reject(new Error("nothing is called")),
};

/** A systemd that knows what it has read and what is active, and an update-rc.d that only links. */
function fakeWorld(): Promise<World> {
  const read = new Map<string, string>();
  const active = new Set<string>();
  const machineCommands: FakeCommand = ({ argv }, machine): FakeOutput | null => {
    const [program, verb = "", ...rest] = argv;
    const textOf = (unit: string) => machine.files.get(`${UNITS}/${unit}`)?.text ?? "";
    if (program === "ln") machine.files.set(rest[1]!, { text: `-> ${rest[0]}`, mode: 0o777 });
    else if (program === "systemctl" && verb === "daemon-reload") {
      read.clear();
      for (const path of machine.files.keys()) {
        const unit = path.slice(UNITS.length + 1);
        if (path.startsWith(UNITS) && !unit.includes("/")) read.set(unit, textOf(unit));
      }
    } else if (program === "systemctl" && verb === "start") {
      if (read.get(rest[0]!) === undefined) return { exit: 5, stderr: "not found" };
      active.add(rest[0]!);
    } else if (program === "systemctl" && verb === "stop") rest.forEach((unit) => active.delete(unit));
    else if (program === "systemctl" && verb === "show") {
      const units = rest.filter((word) => word.endsWith(".service"));
      const blocks = units.map((unit) => {
        const state = active.has(unit) ? "active" : "inactive";
        const stale = read.has(unit) && read.get(unit) !== textOf(unit);
        return `Id=${unit}\nActiveState=${state}\nNeedDaemonReload=${stale ? "yes" : "no"}\n`;
      });
      return { stdout: blocks.join("\n") };
    } else if (program === "update-rc.d") {
      const [name, remove] = verb === "-f" ? [rest[0]!, true] : [verb, false];
      const path = `/etc/rc2.d/S01${name}`;
      if (remove) machine.files.delete(path);
      else if (!machine.files.has(`/etc/init.d/${name}`)) {
        return { exit: 1, stderr: `unable to read ${name}` };
      } else machine.files.set(path, { text: `-> ../init.d/${name}`, mode: 0o777 });
    } else if (argv.join(" ") !== "telinit q") return null;
    return {};
  };
  const fake = createFakeHost({ commands: [machineCommands], engine: ONE_VNODE });
  for (const path of ["/etc/init.d", "/etc/rc2.d", "/etc/systemd", UNITS, WANTS]) {
    fake.machine.directories.set(path, 0o755);
  }
  const linked = (path: string) => {
    const text = fake.machine.files.get(path)?.text ?? "";
    return text.startsWith("-> ") ? text.slice(3) : null;
  };
  const host: Host = {
    ...fake,
    readLink: (path) => Promise.resolve(linked(path)),
    readText: (path) => fake.readText(linked(path) ?? path),
  };
  return Promise.resolve({
    host,
    journal: "/var/lib/berth/journal",
    dump: () =>
      Promise.resolve(
        `${fake.text(["/var/lib/berth"])}\nread ${[...read.keys()].sort()}\nactive ${[...active]}`,
      ),
    close: () => Promise.resolve(),
  });
}

const foreign = (host: Host) => host.writeText(`${UNITS}/foreign.service`, "[Service]\n");

laws("units of a running systemd", (): Subject => ({
  resources: [rc({ init: "systemd", berth: BERTH, live: true })],
  async plant(host) {
    await foreign(host);
    await host.exec({ argv: ["systemctl", "daemon-reload"] });
  },
  drift: {
    of: "rc systemd",
    by: (host) => host.exec({ argv: ["systemctl", "stop", "berth-halt.service"] }).then(() => {}),
  },
}), fakeWorld);

laws("init scripts", (): Subject => ({
  resources: [rc({ init: "sysvinit", berth: BERTH, live: true })],
  plant: (host) => host.writeText("/etc/init.d/foreign", "#!/bin/sh\n", { mode: 0o755 }),
  drift: { of: "rc sysvinit", by: (host) => host.remove("/etc/rc2.d/S01berth") },
  async gone(host) {
    for (const name of ["berth", "berth-prepare"]) {
      await host.remove(`/etc/rc2.d/S01${name}`);
      await host.remove(`/etc/init.d/${name}`);
    }
  },
}), fakeWorld);

const INITTAB = "/etc/inittab";
laws("the guard of the watch", (): Subject => ({
  resources: [watchGuard({ live: true })],
  async plant(host) {
    await host.writeText("/sbin/telinit", "");
    await host.writeText(INITTAB, "id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\n");
  },
  drift: {
    of: "guard of the watch",
    by: async (host) =>
      host.writeText(INITTAB, (await host.readText(INITTAB))!.replace("respawn:/etc", "off:/etc")),
  },
  edit: {
    by: async (host) =>
      host.writeText(INITTAB, `${await host.readText(INITTAB)}2:23:respawn:/sbin/getty 38400 tty2\n`),
    survives: async (host) => {
      const text = await host.readText(INITTAB) ?? "";
      return text.includes("tty1") && text.includes("tty2") && !text.includes("berth");
    },
  },
  gone: (host) => host.writeText(INITTAB, "id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\n"),
}), fakeWorld);

const STARTER = `${UNITS}/start-left.service`;
const enable = (host: Host, unit: string) =>
  host.exec({ argv: ["ln", "-sfn", `${UNITS}/${unit}`, `${WANTS}/${unit}`] }).then(() => {});

laws("units that start vnodes", (): Subject => ({
  resources: [noStarterUnits("berth.vnode")],
  async plant(host) {
    await host.writeText(STARTER, "[Service]\nExecStart=/usr/bin/docker start -a left\n");
    await enable(host, "start-left.service");
    await host.writeText(`${UNITS}/web.service`, "[Service]\nExecStart=/usr/bin/docker start web\n");
    await enable(host, "web.service");
  },
  drift: { of: "unit start-left.service", by: (host) => enable(host, "start-left.service") },
  gone: (host) => enable(host, "start-left.service"), // somebody else gave it back already
}), fakeWorld);

test.run();
