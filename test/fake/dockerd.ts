// The fake machine's dockerd and its door: it reads daemon.json at its start, keeps docker0 as its store tells (moby
// does), and has networks and containers. All its state stands in files below /fake, so that it is part of the text
// that is compared. Fails on calls it does not know.
import type { EngineAnswer, EngineDoor, EngineRequest } from "../../lib/host/types.ts";
import type { FakeCommand, Machine } from "./host.ts";

const FILE = "/etc/docker/daemon.json";
const PID = 4711;
/** What SIGHUP takes over of the keys that tests use. */
const RELOADABLE = ["debug", "labels", "live-restore", "runtimes"];

type Json = Record<string, unknown>;
export interface FakeContainer {
  readonly name: string;
  readonly labels: readonly string[];
  readonly policy: string;
  readonly running: boolean;
}

/** Paths that tell one start from another; left out where two worlds are compared. */
export const DOCKERD_PASSING = [`/proc/${PID}`, "/var/run/docker-ssd.pid"];

let starts = 0;

function get<T>({ files }: Machine, name: string, other: T): T {
  const text = files.get(`/fake/${name}`)?.text;
  return text === undefined ? other : JSON.parse(text) as T;
}

function put({ files }: Machine, name: string, value: unknown): void {
  files.set(`/fake/${name}`, { text: JSON.stringify(value), mode: 0o600 });
}

export const isRunning = ({ files }: Machine): boolean => files.has(`/proc/${PID}/comm`);

/** Starts it as its command line would. Answers with what it would complain about, or null. */
export function startDockerd(machine: Machine): string | null {
  if (isRunning(machine)) return null;
  const { files, links, directories } = machine;
  let config: Json;
  try {
    config = JSON.parse(files.get(FILE)?.text ?? "{}");
  } catch {
    return "unable to configure the Docker daemon";
  }
  if (config["storage-driver"] === "nonesuch") return "error initializing graphdriver";
  if (config["log-level"] === "nonsense") return "unable to parse logging level: nonsense";
  const store = get<string | null>(machine, "store", null);
  const found = links.get("docker0")?.addresses[0];
  const address = String(config.bip ?? store ?? found ?? "172.17.0.1/16");
  links.set("docker0", { kind: "bridge", alias: "", mtu: 1500, up: true, addresses: [address] });
  directories.set("/sys/class/net/docker0", 0o755);
  put(machine, "store", address);
  const { bip: _, ...loaded } = config; // where docker0 is, is seen on docker0
  put(machine, "loaded", loaded);
  files.set(`/proc/${PID}/comm`, { text: "dockerd\n", mode: 0o444 });
  files.set(`/proc/${PID}/cmdline`, { text: "/usr/sbin/dockerd\0-p\0/var/run/docker.pid\0", mode: 0o444 });
  const fields = ["S", ...Array(18).fill("0"), String(++starts)];
  files.set(`/proc/${PID}/stat`, { text: `${PID} (dockerd) ${fields.join(" ")} 0\n`, mode: 0o444 });
  directories.set(`/proc/${PID}`, 0o755);
  files.set("/var/run/docker.pid", { text: String(PID), mode: 0o644, changedMs: 1 });
  return null;
}

/** Ends it; containers end with it unless it had loaded live-restore. */
export function stopDockerd(machine: Machine): void {
  if (!isRunning(machine)) return;
  for (const name of ["comm", "cmdline", "stat"]) machine.files.delete(`/proc/${PID}/${name}`);
  machine.directories.delete(`/proc/${PID}`);
  machine.files.delete("/var/run/docker.pid");
  const live = get<Json>(machine, "loaded", {})["live-restore"] === true;
  if (!live) eachContainer(machine, (container) => ({ ...container, running: false }));
  machine.files.delete("/fake/loaded");
}

function eachContainer(machine: Machine, change: (container: FakeContainer) => FakeContainer): void {
  const all = get<readonly FakeContainer[]>(machine, "containers", []);
  if (all.length > 0) put(machine, "containers", all.map(change));
}

export function plantContainers(machine: Machine, containers: readonly FakeContainer[]): void {
  put(machine, "containers", containers);
}

/** start-stop-daemon, dockerd's version and validation, and docker0's deletion. */
export const dockerdCommands: FakeCommand = ({ argv }, machine) => {
  const line = argv.join(" ");
  if (line === "dockerd --version") {
    return { stdout: `Docker version ${get(machine, "version", "28.5.2")}, build fake\n` };
  }
  if (line.startsWith("/usr/sbin/dockerd --validate --config-file ")) {
    const text = machine.files.get(argv.at(-1)!)?.text;
    // What is only found at the start passes, such as a log level or driver that is none.
    return text === undefined || text.includes('"invalid"') ? { exit: 1 } : { stdout: "configuration OK\n" };
  }
  if (line === "ip link delete docker0") {
    if (!machine.links.delete("docker0")) return { exit: 1 };
    machine.directories.delete("/sys/class/net/docker0");
    return {};
  }
  // The containerd of its own ends with it.
  if (argv.includes("/run/docker/containerd/containerd.pid")) return {};
  if (argv.some((arg) => arg.includes("containerd"))) return null;
  if (argv[0] === "tail") return { stdout: 'time="x" level=info msg=hello\nfailed to start daemon: fake\n' };
  if (argv[0] !== "start-stop-daemon") return null;
  if (argv.includes("--start")) {
    machine.files.set("/var/run/docker-ssd.pid", { text: String(PID), mode: 0o644 });
    return startDockerd(machine) === null ? {} : { exit: 1, stderr: "start-stop-daemon: timed out\n" };
  }
  if (!isRunning(machine)) return argv.includes("--oknodo") ? {} : { exit: 1 };
  if (!argv.includes("HUP")) {
    stopDockerd(machine);
    return {};
  }
  const file = JSON.parse(machine.files.get(FILE)?.text ?? "{}") as Json;
  const loaded = Object.entries(get<Json>(machine, "loaded", {})).filter(([key]) =>
    !RELOADABLE.includes(key)
  );
  const taken = Object.entries(file).filter(([key]) => RELOADABLE.includes(key));
  put(machine, "loaded", Object.fromEntries([...loaded, ...taken].sort()));
  return {};
};

/** The door to it: nobody answers while it does not run. */
export function dockerdDoor(machine: () => Machine): EngineDoor {
  const answer = (status: number, body: unknown = null): EngineAnswer => ({ status, body });
  const running = () => {
    if (isRunning(machine())) return machine();
    throw Object.assign(new Error("connect ENOENT /var/run/docker.sock"), { code: "ENOENT" });
  };
  return {
    // deno-lint-ignore require-await -- throwing must reject
    async get(path) {
      const here = running();
      const networks = get<Record<string, Json>>(here, "networks", {});
      const containers = get<readonly FakeContainer[]>(here, "containers", []);
      const [, kind, name] = path.split("?")[0]!.split("/");
      if (path === "/info") return answer(200, get(here, "info", { DriverStatus: [] }));
      if (path === "/_ping") return answer(200, "OK");
      if (path === "/networks") return answer(200, Object.values(networks));
      if (kind === "networks") return networks[name!] ? answer(200, networks[name!]) : answer(404);
      if (path.startsWith("/containers/json")) {
        const wanted = /filters=([^&]*)/.exec(path)?.[1];
        const labels = wanted === undefined ? [] : JSON.parse(decodeURIComponent(wanted)).label as string[];
        const listed = containers.filter(({ labels: has, running }) =>
          (running || path.includes("all=1")) && labels.every((label) => has.includes(label))
        );
        return answer(200, listed.map(({ name }) => ({ Id: name, Names: [`/${name}`] })));
      }
      const one = containers.find((container) => container.name === name);
      if (kind === "containers" && path.endsWith("/json")) {
        return one === undefined
          ? answer(404)
          : answer(200, { Name: `/${name}`, HostConfig: { RestartPolicy: { Name: one.policy } } });
      }
      throw new Error(`The fake dockerd does not know GET ${path}`);
    },
    // deno-lint-ignore require-await -- throwing must reject
    async call({ method, path, body }: EngineRequest) {
      const here = running();
      const networks = get<Record<string, Json>>(here, "networks", {});
      const [, kind, name, verb] = path.split("/");
      const wanted = body as Json;
      if (method === "POST" && path === "/networks/create") {
        if (networks[String(wanted.Name)]) return answer(409);
        put(here, "networks", { ...networks, [String(wanted.Name)]: wanted });
        return answer(201);
      }
      if (method === "DELETE" && kind === "networks") {
        const { [name!]: gone, ...rest } = networks;
        put(here, "networks", rest);
        return answer(gone === undefined ? 404 : 204);
      }
      if (method === "POST" && kind === "containers") {
        const policy = (wanted?.RestartPolicy as Json | undefined)?.Name;
        eachContainer(
          here,
          (container) =>
            container.name !== name
              ? container
              : verb === "update"
              ? { ...container, policy: String(policy) }
              : { ...container, running: verb === "start" },
        );
        return answer(verb === "update" ? 200 : 204);
      }
      throw new Error(`The fake dockerd does not know ${method} ${path}`);
    },
  };
}
