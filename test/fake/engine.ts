// A scriptable Docker Engine on a unix socket, for faults that a real one shows only on its bad days. It knows as
// little as it can: versions, pings, an event stream with the real one's backlog and inclusive `since`, exec with
// hijack; all else is told by the test (`on`).
import { Buffer } from "node:buffer";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "node:net";
import { type FakeHandler, type FakeReply, type FakeRequest, type FakeServer, listen } from "./http.ts";

/** What an event needs; the rest is filled in. */
export interface FakeEvent {
  readonly type?: string;
  readonly action: string;
  readonly id?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  /** Decimal. Default: one more than the last. */
  readonly timeNano?: string;
}

/** A command that the fake can run: it reads `stdin`, writes, and answers with its exit code. */
export type FakeProgram = (io: {
  readonly stdin: AsyncIterable<Uint8Array>;
  readonly stdout: (bytes: Uint8Array | string) => Promise<void>;
  readonly stderr: (bytes: Uint8Array | string) => Promise<void>;
  /** Aborted when the process is killed. */
  readonly killed: AbortSignal;
  readonly body: Record<string, unknown>;
}) => Promise<number>;

interface Exec {
  readonly body: Record<string, unknown>;
  readonly pid: number;
  readonly killed: AbortController;
  running: boolean;
  exit: number | null;
}

/** The engine's own number (runtimes: 256 events of backlog). */
const BACKLOG = 256;
let engines = 0;

export class FakeEngine {
  readonly socket: string;
  api = "1.41";
  engineVersion = "20.10.24";
  /** Requests seen, as "GET /containers/x/json". */
  readonly seen: string[] = [];
  /** Pings are taken and never answered. */
  pingHangs = false;
  /** The event stream stays open and says nothing any more; what is emitted is lost, as with a dead peer. */
  silent = false;
  /** Cuts what goes out on the event stream. */
  cut: (bytes: Uint8Array) => readonly Uint8Array[] = (bytes) => [bytes];
  /** Waited for before the event stream's headers. */
  beforeEvents: () => Promise<void> = () => Promise.resolve();
  /** Commands by their first word. */
  readonly programs: Record<string, FakeProgram> = {};
  readonly execs = new Map<string, Exec>();

  #server: FakeServer | undefined;
  #routes: { method: string; path: RegExp; handler: FakeHandler }[] = [];
  #history: { nano: bigint; type: string; line: string }[] = [];
  #listeners = new Set<{ reply: FakeReply; types: readonly string[] | null }>();
  #nano = 1_700_000_000_000_000_000n;

  constructor() {
    this.socket = join(tmpdir(), `berth-fake-${process.pid}-${engines++}.sock`);
  }

  /** How many event streams are open. */
  get listeners(): number {
    return this.#listeners.size;
  }

  async start(): Promise<this> {
    rmSync(this.socket, { force: true });
    this.#server = await listen(this.socket, (request, reply) => this.#answer(request, reply));
    return this;
  }

  /** kill -9: every connection dies in the middle, the backlog is lost, the socket stays as a dead file or goes. */
  async die(options: { keepBacklog?: boolean } = {}): Promise<void> {
    this.#listeners.clear();
    if (!options.keepBacklog) this.#history = [];
    await this.#server?.close();
    this.#server = undefined;
    rmSync(this.socket, { force: true });
  }

  /** Ends the open event streams only: by the last chunk, or in the middle. */
  cutStreams(how: "orderly" | "broken"): void {
    for (const { reply } of this.#listeners) {
      if (how === "orderly") reply.end();
      else reply.socket.destroy();
    }
    this.#listeners.clear();
  }

  /** Answers a path by a handler, or by a status and a body. The last one set wins. */
  on(method: string, path: RegExp, answer: FakeHandler | readonly [number, unknown?]): void {
    const handler: FakeHandler = typeof answer === "function" ? answer : (_, reply) => reply.send(...answer);
    this.#routes.unshift({ method, path, handler });
  }

  /** Says that something happened. Answers with its timeNano. */
  emit(event: FakeEvent): string {
    const nano = event.timeNano === undefined ? this.#nano + 1n : BigInt(event.timeNano);
    if (nano > this.#nano) this.#nano = nano;
    const type = event.type ?? "container";
    this.#history = [...this.#history, { nano, type, line: this.#line(event, type, nano) }].slice(-BACKLOG);
    this.#tell(type, this.#history.at(-1)!.line);
    return String(nano);
  }

  /** Anything at all on the event streams. */
  emitRaw(text: string): void {
    this.#tell(null, text);
  }

  #tell(type: string | null, line: string): void {
    if (this.silent) return;
    for (const { reply, types } of this.#listeners) {
      if (type === null || types === null || types.includes(type)) this.#write(reply, line);
    }
  }

  #write(reply: FakeReply, line: string): void {
    for (const piece of this.cut(Buffer.from(line))) reply.chunk(piece);
  }

  /** As the engine writes it: with `status`, `id`, `from` up to 1.51, without from 1.52 on. */
  #line(event: FakeEvent, type: string, nano: bigint): string {
    const id = event.id ?? "c1";
    const attributes = { image: "busybox", name: "left", ...event.attributes };
    const old = Number(this.api.split(".")[1]) < 52 && type === "container"
      ? `"status":${JSON.stringify(event.action)},"id":"${id}","from":"busybox",`
      : "";
    return `{${old}"Type":"${type}","Action":${
      JSON.stringify(event.action)
    },"Actor":{"ID":"${id}","Attributes":${JSON.stringify(attributes)}},"scope":"local","time":${
      nano / 1_000_000_000n
    },"timeNano":${nano}}\n`;
  }

  async #answer(request: FakeRequest, reply: FakeReply): Promise<void> {
    this.seen.push(`${request.method} ${request.path}`);
    const route = this.#routes.find((each) => each.method === request.method && each.path.test(request.path));
    if (route !== undefined) return await route.handler(request, reply);
    const at = `${request.method} ${request.path}`;
    if (at === "GET /_ping") return this.pingHangs ? undefined : reply.send(200, "OK");
    if (at === "GET /version") {
      return reply.send(200, { Version: this.engineVersion, ApiVersion: this.api, MinAPIVersion: "1.12" });
    }
    if (at === "GET /events") return await this.#events(request, reply);
    const create = /^POST \/containers\/([^/]+)\/exec$/.exec(at);
    if (create !== null) return this.#createExec(request, reply);
    const exec = /^(GET|POST) \/exec\/([^/]+)\/(json|start)$/.exec(at);
    if (exec === null) return reply.send(404, { message: "page not found" });
    const found = this.execs.get(exec[2]!);
    if (found === undefined) return reply.send(404, { message: `No such exec instance: ${exec[2]}` });
    if (exec[3] === "start") return this.#startExec(found, reply);
    reply.send(200, {
      ID: exec[2],
      Running: found.running,
      ExitCode: found.exit,
      Pid: found.running ? found.pid : 0,
    });
  }

  async #events(request: FakeRequest, reply: FakeReply): Promise<void> {
    await this.beforeEvents();
    reply.open(200);
    const filters = JSON.parse(request.query.get("filters") ?? "{}") as { type?: string[] };
    const types = filters.type ?? null;
    const [seconds, rest = ""] = (request.query.get("since") ?? "").split(".");
    if (seconds !== "") {
      const since = BigInt(seconds!) * 1_000_000_000n + BigInt(rest.padEnd(9, "0"));
      for (const each of this.#history) {
        if (each.nano >= since && (types === null || types.includes(each.type))) {
          this.#write(reply, each.line);
        }
      }
    }
    const listener = { reply, types };
    this.#listeners.add(listener);
    reply.socket.on("close", () => this.#listeners.delete(listener));
  }

  #createExec(request: FakeRequest, reply: FakeReply): void {
    const id = `exec${this.execs.size}`;
    const pid = 40_000 + this.execs.size;
    this.execs.set(id, {
      body: request.json(),
      pid,
      killed: new AbortController(),
      running: false,
      exit: null,
    });
    reply.send(201, { Id: id });
  }

  #startExec(exec: Exec, reply: FakeReply): void {
    const [first] = exec.body["Cmd"] as string[];
    const program = this.programs[first!];
    if (program === undefined) {
      return reply.send(400, { message: `exec: "${first}": executable file not found` });
    }
    exec.running = true;
    const early = reply.upgrade();
    const { socket } = reply;
    const framed = (stream: number) => (bytes: Uint8Array | string) => {
      const payload = Buffer.from(bytes as Uint8Array);
      const header = Buffer.from([stream, 0, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(payload.length, 4);
      const whole = exec.body["Tty"] ? payload : Buffer.concat([header, payload]);
      return new Promise<void>((resolve) => {
        if (socket.destroyed) resolve();
        else socket.write(whole, () => resolve());
      });
    };
    const stdin = received(socket, early);
    void (async () => {
      const { body } = exec;
      exec.exit = await program({
        stdin,
        stdout: framed(1),
        stderr: framed(2),
        killed: exec.killed.signal,
        body,
      });
      exec.running = false;
      socket.end();
      // The engine closes its side for good: input that nobody reads is refused.
      socket.destroySoon();
    })();
  }

  /** What a host's kill does to a command of ours. */
  kill(pid: number): void {
    for (const exec of this.execs.values()) if (exec.pid === pid) exec.killed.abort();
  }
}

/** What a client sends, until its half-close or its death. Not the socket's own iterator, which rejects unseen. */
async function* received(socket: Socket, early: Uint8Array): AsyncIterable<Uint8Array> {
  const queue: Uint8Array[] = early.length > 0 ? [early] : [];
  let over = false;
  let wake = () => {};
  socket.on("data", (chunk: Uint8Array) => {
    queue.push(chunk);
    socket.pause();
    wake();
  });
  const end = () => {
    over = true;
    wake();
  };
  socket.once("end", end);
  socket.once("close", end);
  for (;;) {
    for (let chunk = queue.shift(); chunk; chunk = queue.shift()) yield chunk;
    if (over) return;
    socket.resume();
    await new Promise<void>((resolve) => wake = resolve);
  }
}
