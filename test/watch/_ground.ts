// A vhost in memory for tests of the watch: a fake kernel, a fake engine on a real socket, records, and the watch
// over them on a clock that stands still. Owns what an engine and an operator would do.
import { createDocker } from "../../lib/docker/client.ts";
import type { Docker } from "../../lib/docker/types.ts";
import type { Host } from "../../lib/host/types.ts";
import type { Log } from "../../lib/log/log.ts";
import { bridgeName, lanAlias } from "../../lib/vnode/names.ts";
import { readRecord, type VnodeRecord, writeRecord } from "../../lib/vnode/record.ts";
import { watch, type WatchState } from "../../lib/watch/watch.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeEngine } from "../fake/engine.ts";
import { createFakeHost, type FakeHost } from "../fake/host.ts";
import { FakeKernel } from "../fake/kernel.ts";

/** A container as the fake engine has it. */
export interface FakeContainer {
  readonly id: string;
  readonly vnode: string;
  pid: number;
  startedAt: string;
  finishedAt: string;
  exitCode: number;
}

/** Lines that a log was given. */
export interface Lines extends Log {
  readonly lines: string[];
}

/** A log that keeps its lines. */
export function keptLog(): Lines {
  const lines: string[] = [];
  const write = (message: string, fields: unknown = {}) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Lines = { lines, debug: write, info: write, warn: write, error: write, with: () => log };
  return log;
}

/** Locks that hold within one process. */
export function locking(host: FakeHost): FakeHost {
  const tails = new Map<string, Promise<void>>();
  const lock: Host["lock"] = async (path) => {
    const before = tails.get(path) ?? Promise.resolve();
    let release = () => {};
    tails.set(path, new Promise<void>((resolve) => release = resolve));
    await before;
    return { path, release: () => Promise.resolve(release()) };
  };
  return { ...host, lock };
}

/** The record of a vnode with one shaped link on lan "wire". */
export function recordOf(number: number, wanted: "up" | "halted" = "up"): VnodeRecord {
  const name = `n${number}`;
  const shape = { rateBps: 10_000_000 };
  return {
    version: 1,
    name,
    containerId: `${number}`.padStart(12, "c").padEnd(64, "0"),
    spec: {
      name,
      image: "box",
      env: {},
      control: { address: `172.16.1.${number}`, mac: `02:00:00:00:00:${String(number).padStart(2, "0")}` },
      links: [{
        name: "eth1",
        lan: "wire",
        mac: `02:00:00:00:01:${String(number).padStart(2, "0")}`,
        mtu: 1500,
        addresses: [`10.1.0.${number}/24`],
        ingress: shape,
        egress: shape,
      }],
      routes: [{ to: "10.9.0.0/16", via: "10.1.0.99" }],
      hosts: {},
      source: "test",
    } as unknown as VnodeRecord["spec"],
    lans: [],
    wanted: { state: wanted, by: "test", at: "2023-11-14T00:00:00.000Z" },
    hostsPath: `/hosts-${name}`,
  };
}

/** Everything together. */
export class Ground {
  readonly clock = new FakeClock();
  readonly engine = new FakeEngine();
  readonly kernel: FakeKernel;
  readonly host: FakeHost;
  readonly log = keptLog();
  readonly docker: Docker;
  readonly containers = new Map<string, FakeContainer>();
  /** Answers of the engine to calls about containers: a status to fail with, for the next so many. */
  failing = 0;
  /** Whether fresh connections are taken. */
  takesCalls = true;
  crashed = false;
  state: WatchState | null = null;
  resync: (reason: string) => void = () => {};
  #abort = new AbortController();
  #watching: Promise<void> = Promise.resolve();

  constructor() {
    let kernel: FakeKernel | undefined;
    this.host = locking(
      createFakeHost({ commands: [(command, machine) => kernel!.handle(command, machine)] }),
    );
    this.kernel = kernel = new FakeKernel(this.host.machine);
    this.kernel.add(bridgeName("wire"), "bridge", { up: true, ifalias: lanAlias("wire") });
    this.docker = createDocker({ socket: this.engine.socket, clock: this.clock });
    this.#answer();
  }

  /** A vnode with a record and a container that does not run. */
  async vnode(number: number, wanted: "up" | "halted" = "up"): Promise<FakeContainer> {
    const record = recordOf(number, wanted);
    await writeRecord(this.host, record);
    const container = {
      id: record.containerId,
      vnode: record.name,
      pid: 0,
      startedAt: NEVER,
      finishedAt: NEVER,
      exitCode: 0,
    };
    this.containers.set(record.name, container);
    return container;
  }

  /** The engine starts a container, without any gate. */
  start(vnode: string, tell = true): void {
    const container = this.containers.get(vnode)!;
    if (container.pid !== 0) return;
    const number = Number(vnode.slice(1));
    container.pid = this.kernel.start(recordOf(number).spec.control.mac, `172.16.1.${number}`);
    container.startedAt = this.#time();
    if (tell) this.emit(vnode, "start");
  }

  /** A container's first process ends. */
  die(vnode: string, how: { tell?: boolean; exitCode?: number; signal?: string } = {}): void {
    const container = this.containers.get(vnode)!;
    if (container.pid === 0) return;
    const { tell = true, exitCode = 0, signal } = how;
    if (signal !== undefined && tell) this.emit(vnode, "kill", { signal });
    this.kernel.die(container.pid);
    container.pid = 0;
    container.exitCode = exitCode;
    container.finishedAt = this.#time();
    if (tell) this.emit(vnode, "die", { exitCode: String(exitCode) });
  }

  emit(vnode: string, action: string, attributes: Record<string, string> = {}): void {
    const id = this.containers.get(vnode)?.id ?? "unknown";
    this.engine.emit({
      action,
      id,
      attributes: { ...attributes, name: vnode, "berth.vnode": vnode },
      timeNano: `${this.#tick()}000000`,
    });
  }

  /** Starts the watch and, unless told otherwise, waits for its first full look. */
  async watch(options: { looked?: boolean } = {}): Promise<void> {
    await this.engine.start();
    this.#watching = watch({
      host: this.host,
      docker: this.docker,
      log: this.log,
      ensureAll: (resources) =>
        Promise.resolve(resources.map(() => ({ state: null, changed: false, changes: [] }))),
      clock: this.clock,
      signal: this.#abort.signal,
      resyncMs: 60_000,
      engineTakesCalls: () => Promise.resolve(this.takesCalls),
      engineCrashed: () => Promise.resolve(this.crashed),
      onState: (state) => void (this.state = state),
      onReady: (resync) => this.resync = resync,
    });
    if (options.looked === false) return;
    await until("the first full look", () => this.state?.lastResync != null);
  }

  async wantedOf(vnode: string): Promise<string> {
    return (await readRecord(this.host, vnode))!.wanted.state;
  }

  /** What is not as promised, one line each. */
  async faults(): Promise<string[]> {
    const faults: string[] = [];
    for (const [vnode, { pid, id }] of this.containers) {
      const wanted = await this.wantedOf(vnode);
      if ((pid !== 0) !== (wanted === "up")) faults.push(`${vnode} is wanted ${wanted} and has pid ${pid}`);
      const ours = [...this.kernel.links.values()].filter((one) =>
        one.ifalias?.startsWith(`berth:v=${vnode}:`)
      );
      const mine = [...this.kernel.allow].filter((one) =>
        one.includes(` ${recordOf(Number(vnode.slice(1))).spec.control.mac} `)
      );
      if (pid === 0) {
        faults.push(
          ...ours.map((one) => `${one.ifname} of ${vnode} is left`),
          ...mine.map((one) => `${one} is left`),
        );
        continue;
      }
      const mark = `:g=${id.slice(0, 12)}.${pid}.`;
      const good = ours.filter((one) => one.ifalias!.includes(mark) && one.up);
      if (good.length !== 2 || ours.length !== 2) {
        faults.push(`${vnode} has ${ours.map((one) => one.ifalias)}`);
      }
      if (!mine.every((one) => one.startsWith(`veth${pid} `)) || mine.length !== 1) {
        faults.push(`${vnode} is allowed ${mine}`);
      }
      const inside = this.kernel.inside.get(pid)!.get("eth1");
      if (inside?.addresses.length !== 1 || !inside.up) {
        faults.push(`${vnode} has inside ${inside?.addresses}`);
      }
    }
    return faults;
  }

  /** Moves time on, in steps, until everything is as promised. */
  async converges(what: string, mostMs = 200_000): Promise<void> {
    let faults: string[] = ["never looked"];
    const end = this.clock.now() + mostMs;
    for (;;) {
      // Real time for sockets, fake time for pauses.
      for (let spin = 0; spin < 40; spin++) {
        faults = await this.faults();
        if (faults.length === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      if (this.clock.now() > end) {
        throw new Error(
          `${what}: not within ${mostMs} ms: ${faults.join("; ")}\n${this.log.lines.slice(-12).join("\n")}`,
        );
      }
      this.clock.advance(Math.max(1, Math.min(this.clock.next ?? 1000, 10_000)));
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#watching;
    await this.docker.close();
    await this.engine.die();
  }

  #ms = 0;

  /** Each moment is another millisecond, so that what follows is later. */
  #tick(): number {
    return this.#ms = Math.max(this.clock.unix(), this.#ms + 1);
  }

  #time(): string {
    return new Date(this.#tick()).toISOString();
  }

  #answer(): void {
    const find = (path: string) => {
      const ref = path.split("/")[2];
      return [...this.containers.values()].find((one) => one.id === ref || one.vnode === ref);
    };
    this.engine.on("GET", /^\/containers\/json$/, (_, reply) => {
      if (this.failing > 0 && this.failing--) return reply.send(500, { message: "out of luck" });
      reply.send(
        200,
        [...this.containers.values()].map((one) => ({
          Id: one.id,
          Names: [`/${one.vnode}`],
          Image: "box",
          State: one.pid === 0 ? "exited" : "running",
          Status: "",
          Labels: { "berth.vnode": one.vnode },
        })),
      );
    });
    this.engine.on("GET", /^\/containers\/[^/]+\/json$/, (request, reply) => {
      if (this.failing > 0 && this.failing--) return reply.send(500, { message: "out of luck" });
      const one = find(request.path);
      if (one === undefined) return reply.send(404, { message: "No such container" });
      reply.send(200, inspected(one));
    });
    this.engine.on("POST", /^\/containers\/[^/]+\/start$/, (request, reply) => {
      if (this.failing > 0 && this.failing--) return reply.send(500, { message: "out of luck" });
      const one = find(request.path)!;
      if (one.pid !== 0) return reply.send(304);
      this.start(one.vnode);
      reply.send(204);
    });
  }
}

const NEVER = "0001-01-01T00:00:00Z";

function inspected(one: FakeContainer) {
  return {
    Id: one.id,
    Name: `/${one.vnode}`,
    Image: "sha256:1",
    Created: NEVER,
    Config: { Labels: { "berth.vnode": one.vnode }, Hostname: one.vnode, Image: "box" },
    State: {
      Status: one.pid === 0 ? "exited" : "running",
      Running: one.pid !== 0,
      Paused: false,
      Pid: one.pid,
      ExitCode: one.exitCode,
      Error: "",
      StartedAt: one.startedAt,
      FinishedAt: one.finishedAt,
    },
    HostConfig: { Runtime: "berth", RestartPolicy: { Name: "no" } },
    HostsPath: "",
    ResolvConfPath: "",
    LogPath: "",
    NetworkSettings: { Networks: {} },
  };
}

/** Plays a story on a ground of its own; a failure tells what was logged last. */
export async function story(tell: (ground: Ground) => Promise<void>): Promise<void> {
  const ground = new Ground();
  try {
    await tell(ground);
  } catch (error) {
    throw new Error(
      `${error instanceof Error ? error.stack : error}\n${ground.log.lines.slice(-15).join("\n")}`,
    );
  } finally {
    await ground.close();
  }
}
