// A vhost in memory for tests of commands at vnodes: a fake kernel, locks that hold, and an engine whose starts go
// through what the gate was prepared with. Owns what an engine does; the commands are lib/vnode's own.
import type { LanSpec, VnodeSpec } from "../../lib/config/types.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Container, Docker } from "../../lib/docker/types.ts";
import { lifeOf } from "../../lib/vnode/life.ts";
import { effectiveSpec } from "../../lib/vnode/live.ts";
import type { Ground } from "../../lib/vnode/ground.ts";
import { bridgeName, LABEL_VNODE, lanAlias } from "../../lib/vnode/names.ts";
import { gatePath } from "../../lib/vnode/paths.ts";
import { readRecord } from "../../lib/vnode/record.ts";
import { wire } from "../../lib/vnode/wire.ts";
import { wiringOf } from "../../lib/vnode/wiring.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";
import { keptLog, type Lines, locking } from "../watch/_ground.ts";

/** Vnodes and lans of a configuration in YAML. */
export function declared(text: string): { vnodes: readonly VnodeSpec[]; lans: readonly LanSpec[] } {
  return parseConfig([{ path: "/etc/berth/vnodes.d/a.yaml", text }]);
}

/** What a command at vnodes needs, and what it works on. */
export interface World {
  readonly host: FakeHost;
  readonly kernel: FakeKernel;
  readonly containers: Map<string, Container>;
  readonly log: Lines;
  readonly ground: Ground;
  /** The same ground for a plan, with what was told so far. */
  readonly planned: () => { readonly ground: Ground; readonly told: string[] };
  /** Elements of "TABLE/SET", as "KEY : DATA". */
  readonly elements: (where: string) => string[];
  /** The pid of a vnode that runs. */
  readonly pidOf: (vnode: string) => number;
}

/** Makes a world with bridges for these lans. Engine's calls that change something are told in `calls`. */
export function createWorld(lans: readonly string[], more: Partial<Ground> = {}): World {
  const made: { kernel?: FakeKernel } = {};
  const fake = createFakeHost({
    commands: [
      ({ argv }) => argv.join(" ") === "nft -j list tables" ? { stdout: '{"nftables":[]}' } : null,
      ({ argv }) => argv[0] === "unshare" ? {} : null, // a kernel that lacks nothing
      (command, machine) => made.kernel!.handle(command, machine),
    ],
  });
  const host = locking(fake);
  const kernel = made.kernel = new FakeKernel(host.machine);
  for (const lan of lans) kernel.add(bridgeName(lan), "bridge", { up: true, ifalias: lanAlias(lan) });
  const containers = new Map<string, Container>();
  const find = (ref: string) =>
    [...containers.values()].find(({ id, name }) => id === ref || name === ref) ?? null;
  const ended = (container: Container) => {
    if (container.state.running) kernel.die(container.state.pid);
    Object.assign(container.state, { running: false, pid: 0 });
  };
  let created = 0;
  const docker = {
    version: () => Promise.resolve({ api: "1.41" }),
    info: () => Promise.resolve({ Runtimes: { berth: {} } }),
    inspectNetwork: () => Promise.resolve({}),
    inspectImage: () => Promise.resolve({}),
    inspectContainer: (ref: string) => Promise.resolve(find(ref)),
    listContainers: () =>
      Promise.resolve([...containers.values()].map((one) => ({
        ...one,
        state: one.state.running ? "running" : "exited",
      }))),
    createContainer(name: string, body: { readonly Labels: Record<string, string> }) {
      const id = `${++created}`.padStart(64, "c");
      const state = { running: false, pid: 0, exitCode: 0, error: "" };
      const hostsPath = `/hosts-${id.slice(-4)}`;
      containers.set(
        name,
        { id, name, labels: body.Labels, state, hostsPath, raw: {} } as unknown as Container,
      );
      host.machine.files.set(hostsPath, { text: "127.0.0.1\tlocalhost\n", mode: 0o644 });
      return Promise.resolve({ id, warnings: [] });
    },
    async startContainer(ref: string) {
      const container = find(ref)!;
      const record = (await readRecord(host, container.labels[LABEL_VNODE]!))!;
      const { spec } = record;
      const pid = kernel.start(spec.control.mac, spec.control.address);
      Object.assign(container.state, { running: true, pid });
      try {
        // As its script does it: without a look first.
        const input = await host.readText(`${gatePath(container.id)}/nft`) ?? "";
        await host.exec({ argv: ["nft", "-f", "-"], input });
        await wire(host, wiringOf(effectiveSpec(record)), (await lifeOf(host, container.id, pid))!);
      } catch (error) {
        ended(container);
        throw error;
      }
      return true;
    },
    stopContainer(ref: string) {
      ended(find(ref)!);
      return Promise.resolve(true);
    },
    removeContainer(ref: string) {
      const container = find(ref);
      if (container !== null) ended(container);
      return Promise.resolve(containers.delete(container?.name ?? ""));
    },
  } as unknown as Docker;
  const log = keptLog();
  const ensureAll = (resources: readonly unknown[]) =>
    Promise.resolve(resources.map(() => ({ changed: false })));
  const ground = {
    host,
    docker,
    log,
    ensure: () => Promise.resolve({ changed: false }),
    ensureAll,
    mode: "apply",
    by: "test",
    ...more,
  } as unknown as Ground;
  return {
    host,
    kernel,
    containers,
    log,
    ground,
    planned() {
      const told: string[] = [];
      const onStep: Ground["onStep"] = ({ verb, resource, why }) =>
        void told.push(`${verb} ${resource}: ${why}`);
      return { ground: { ...ground, mode: "plan", onStep }, told };
    },
    elements: (where) =>
      [...kernel.elements.get(where) ?? []].map(([key, data]) => `${key} : ${data}`).sort(),
    pidOf: (vnode) => containers.get(vnode)!.state.pid,
  };
}
