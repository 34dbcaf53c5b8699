// Who is taken for a starter of containers, and which of them are berth's to switch off. Lines as administrators and
// packages write them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { findStarters, namedIn, noStarterUnits, startsContainers } from "../../lib/resource/starters.ts";
import { createFakeHost } from "../fake/host.ts";
import type { Host } from "../../lib/host/types.ts";
import { MARK } from "../../lib/resource/rc/mark.ts";

const STARTS = [
  "/usr/bin/docker start -a left",
  "ExecStart=/usr/bin/docker run --rm --name web nginx",
  "@reboot root docker start web >/dev/null",
  "/usr/bin/podman $LOGGING start --all --filter restart-policy=always",
  "/usr/local/bin/docker-compose -f /srv/web.yml up -d",
  "docker compose --project-directory /srv/web up",
  "docker -H unix:///run/other.sock container start web",
  'sh -c "docker restart left right"',
  "  (sleep 5; nerdctl run -d alpine)",
];
const STARTS_NOT = [
  "# docker start web",
  "/usr/bin/dockerd -H fd://",
  "docker ps -a",
  "docker stop web",
  "systemctl start docker",
  "service docker start",
  "/etc/init.d/docker restart",
  "echo starting docker; logger docker-start",
  "docker compose -f /srv/x.yml down",
  "/usr/local/bin/berth boot",
];

test("startsContainers() knows what starts containers from what only speaks of them", () => {
  for (const line of STARTS) assert.ok(startsContainers(line), line);
  for (const line of STARTS_NOT) assert.not.ok(startsContainers(line), line);
});

test("namedIn() finds whole words", () => {
  assert.equal(namedIn("docker start left; docker start rightmost", ["left", "right"]), ["left"]);
});

const engine = {
  get(path: string) {
    const vnode = { Id: "1", Names: ["/left"], Labels: { "berth.vnode": "left" } };
    const other = { Id: "2", Names: ["/web"], Labels: {} };
    if (path === "/containers/json?all=1") return Promise.resolve({ status: 200, body: [vnode, other] });
    if (path.startsWith("/containers/json")) return Promise.resolve({ status: 200, body: [vnode] });
    const body = { Name: "/web", HostConfig: { RestartPolicy: { Name: "always" } } };
    return Promise.resolve({ status: 200, body });
  },
  call: () => Promise.reject(new Error("no call")),
};
const UNITS = "/etc/systemd/system";
const WANTS = `${UNITS}/multi-user.target.wants`;
const unit = (...lines: string[]) => `[Service]\n${lines.map((line) => `ExecStart=${line}\n`).join("")}`;

/** A host whose links stand as "-> TARGET" in its files. */
function machine(files: Record<string, string>): Host {
  const fake = createFakeHost({
    files,
    engine,
    commands: [({ argv }, { files }) => {
      if (argv[0] !== "ln") return null;
      files.set(argv[3]!, { text: `-> ${argv[2]}`, mode: 0o777 });
      return {};
    }],
  });
  const linkOf = (path: string) => {
    const text = fake.machine.files.get(path)?.text ?? "";
    return text.startsWith("-> ") ? text.slice(3) : null;
  };
  return {
    ...fake,
    readLink: (path) => Promise.resolve(linkOf(path)),
    readText: (path) => fake.readText(linkOf(path) ?? path),
  };
}

const FILES = {
  [`${WANTS}/left.service`]: `-> ${UNITS}/left.service`,
  [`${UNITS}/left.service`]: unit("/usr/bin/docker start -a left"),
  [`${WANTS}/docker-container@left.service`]: "-> /lib/systemd/system/docker-container@.service",
  "/lib/systemd/system/docker-container@.service": unit("/usr/bin/docker start -a %i"),
  [`${WANTS}/both.service`]: `-> ${UNITS}/both.service`,
  [`${UNITS}/both.service`]: unit("/usr/bin/docker start left web"),
  [`${WANTS}/podman-restart.service`]: "-> /lib/systemd/system/podman-restart.service",
  "/lib/systemd/system/podman-restart.service": unit("/usr/bin/podman $LOGGING start --all"),
  [`${WANTS}/berth-boot.service`]: `-> ${UNITS}/berth-boot.service`,
  [`${UNITS}/berth-boot.service`]: `${MARK}\n${unit("docker start left")}`,
  [`${UNITS}/idle.service`]: unit("docker start left"),
  "/etc/crontab": "SHELL=/bin/sh\n@reboot root docker start web\n@daily root docker start web\n",
  "/etc/rc.local": "#!/bin/sh\ndocker start left\n",
};

test("findStarters() finds units, cron lines and restart policies, and passes over berth's own and what is off", async () => {
  const found = await findStarters(machine(FILES), "berth.vnode");
  assert.equal(found.map(({ place, vnodes }) => [place, vnodes.join()]), [
    ["unit both.service", "left"],
    ["unit docker-container@left.service", "left"],
    ["unit left.service", "left"],
    ["unit podman-restart.service", ""],
    ["/etc/crontab:2", ""],
    ["container web", ""],
  ]);
});

test("units that start vnodes and nothing else are disabled, and given back as they were", async () => {
  const host = machine(FILES);
  const resource = noStarterUnits("berth.vnode");
  const before = await resource.observe(host);
  const changes = resource.diff(before);
  assert.equal(changes.map(({ resource }) => resource).sort(), [
    "unit docker-container@left.service",
    "unit left.service",
  ]);
  for (const op of changes.flatMap((change) => change.do)) if ("remove" in op) await host.remove(op.remove);
  const after = await resource.observe(host);
  assert.equal(resource.diff(after), []);
  assert.ok(after!.links[`${WANTS}/both.service`] !== undefined);
  const prior = resource.prior(before);
  for (const op of resource.revert(prior, after).flatMap((change) => change.do)) {
    if ("run" in op) await host.exec(op.run);
  }
  assert.equal((await resource.observe(host))!.links, before!.links);
  assert.equal(resource.revert(prior, await resource.observe(host)), []);
});

test.run();
