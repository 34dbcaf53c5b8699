// Calls about containers, and their answers in our own words. Streams into containers are exec.ts's.
import { ENDPOINTS } from "./endpoints.ts";
import { DockerError } from "./errors.ts";
import type { Caller } from "./request.ts";
import type { Container, Docker } from "./types.ts";

type Calls = Pick<
  Docker,
  | "listContainers"
  | "inspectContainer"
  | "createContainer"
  | "startContainer"
  | "stopContainer"
  | "killContainer"
  | "restartContainer"
  | "removeContainer"
  | "renameContainer"
  | "waitContainer"
  | "updateRestartPolicy"
>;

/** Go's zero time: "never", which we write as "". */
const isNever = (time: string) => time.startsWith("0001-01-01");

/** An answer of /containers/ID/json in our words. Loads the schemas. */
export async function readContainer(body: unknown): Promise<Container & { tty: boolean }> {
  const { containerSchema, parseAnswer } = await import("./schemas.ts");
  const said = parseAnswer(containerSchema, body, "GET /containers/{id}/json");
  const state = said.State;
  return {
    id: said.Id,
    name: said.Name.replace(/^\//, ""),
    image: said.Config.Image || said.Image,
    labels: said.Config.Labels,
    state: {
      status: state.Status,
      running: state.Running,
      paused: state.Paused,
      pid: state.Pid,
      exitCode: state.ExitCode,
      error: state.Error,
      startedAt: isNever(state.StartedAt) ? "" : state.StartedAt,
      finishedAt: isNever(state.FinishedAt) ? "" : state.FinishedAt,
    },
    runtime: said.HostConfig.Runtime,
    restartPolicy: said.HostConfig.RestartPolicy.Name || "no",
    hostsPath: said.HostsPath,
    resolvConfPath: said.ResolvConfPath,
    logPath: said.LogPath,
    hostname: said.Config.Hostname,
    networks: Object.fromEntries(
      Object.entries(said.NetworkSettings.Networks).map(([name, each]) => [name, {
        networkId: each.NetworkID ?? "",
        address: each.IPAddress ?? "",
        mac: each.MacAddress ?? "",
        gateway: each.Gateway ?? "",
      }]),
    ),
    tty: said.Config.Tty,
    raw: body,
  };
}

/** The deadline of a call that first waits for the container's own grace. */
const withGrace = (graceSeconds: number | undefined) => 120_000 + Math.max(0, graceSeconds ?? 0) * 1000;

/** The calls about containers on one way to the engine. */
export function containerCalls(caller: Caller): Calls {
  return {
    async listContainers(filter = {}, options) {
      const { containerListSchema, parseAnswer } = await import("./schemas.ts");
      const query = {
        all: filter.all ?? true,
        filters: filter.label === undefined ? undefined : JSON.stringify({ label: [filter.label] }),
      };
      const { body } = await caller.call(ENDPOINTS.containerList, { query }, options);
      return parseAnswer(containerListSchema, body, "GET /containers/json").map((each) => ({
        id: each.Id,
        names: each.Names.map((name) => name.replace(/^\//, "")),
        image: each.Image,
        state: each.State,
        status: each.Status,
        labels: each.Labels,
      }));
    },
    async inspectContainer(ref, options) {
      const { status, body } = await caller.call(ENDPOINTS.containerInspect, { ref }, options);
      return status === 404 ? null : await readContainer(body);
    },
    async createContainer(name, body, options) {
      const { createdSchema, parseAnswer } = await import("./schemas.ts");
      const answer = await caller.call(
        ENDPOINTS.containerCreate,
        { ref: name, query: { name }, body },
        options,
      );
      const made = parseAnswer(createdSchema, answer.body, "POST /containers/create");
      return { id: made.Id, warnings: made.Warnings };
    },
    async startContainer(ref, options) {
      return (await caller.call(ENDPOINTS.containerStart, { ref }, options)).status === 204;
    },
    async stopContainer(ref, options) {
      const query = { t: options?.graceSeconds };
      const timed = { timeoutMs: withGrace(options?.graceSeconds), ...options };
      return (await caller.call(ENDPOINTS.containerStop, { ref, query }, timed)).status === 204;
    },
    async killContainer(ref, signal, options) {
      await caller.call(ENDPOINTS.containerKill, { ref, query: { signal } }, options);
    },
    async restartContainer(ref, options) {
      const query = { t: options?.graceSeconds };
      const timed = { timeoutMs: withGrace(options?.graceSeconds), ...options };
      await caller.call(ENDPOINTS.containerRestart, { ref, query }, timed);
    },
    async removeContainer(ref, options) {
      const query = { force: options?.force, v: options?.volumes };
      return (await caller.call(ENDPOINTS.containerRemove, { ref, query }, options)).status === 204;
    },
    async renameContainer(ref, name, options) {
      await caller.call(ENDPOINTS.containerRename, { ref, query: { name } }, options);
    },
    async waitContainer(ref, condition = "not-running", options) {
      const { parseAnswer, waitedSchema } = await import("./schemas.ts");
      const { body } = await caller.call(ENDPOINTS.containerWait, { ref, query: { condition } }, options);
      const said = parseAnswer(waitedSchema, body, "POST /containers/{id}/wait");
      if (said.Error?.Message) {
        throw new DockerError({
          fault: "status",
          object: `container ${ref}`,
          message: `Cannot wait for container "${ref}": ${said.Error.Message}`,
        });
      }
      return said.StatusCode;
    },
    async updateRestartPolicy(ref, policy, options) {
      await caller.call(
        ENDPOINTS.containerUpdate,
        { ref, body: { RestartPolicy: { Name: policy } } },
        options,
      );
    },
  };
}
