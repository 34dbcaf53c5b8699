// One probe at work in one network namespace: it answers and counts what others send, and sends what its task says.
// UDP and TCP of Node's own modules only, so it needs nothing of the vnode's image and no raw sockets. It is started
// by session.ts as `berth probe`, with its task on standard input.
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { countFlow, type FlowCount } from "./flows.ts";
import { HEADER_BYTES, type Kind, type Packet, readPacket, writePacket } from "./packet.ts";
import type {
  AgentAnswer,
  AgentTask,
  Echoed,
  EchoTask,
  FlingTask,
  FloodTask,
  SendTask,
  Sent,
} from "./types.ts";

/** Milliseconds without a datagram after which a flood that had begun counts as over. */
const FLOOD_SILENCE_MS = 700;
/**
 * The shortest pause of a sender. Timers come late: what is due is counted by the clock, not by them. Longer ones where
 * nothing is due, for a slow processor is kept from the other probe by one that only looks at the clock.
 */
const TICK_MS = 1;
/** Between two looks at the clock while the last echoes are waited for. */
const LISTEN_MS = 10;
/** What a flood makes up for after a pause of the processor, at most. More would be a burst nobody asked for. */
const CATCH_UP_MS = 50;
/** Between two datagrams that are not to be heard. */
const FLING_MS = 100;
/** Between two greetings. */
const GREET_US = 20_000;
/** How long an echo says goodbye, which only tells the other one that it may end. */
const BYE_MS = 1000;
/** Connections of a TCP flood: one's window holds less than a queue that should stand. */
const TCP_LINES = 4;
/** Between two looks at the clock while a TCP flood waits for the other one to read. */
const DRAIN_MS = 100;
/** Written at once into a TCP flood. */
const TCP_CHUNK = 256 * 1024;

/** Microseconds since 1970; all probes of a machine share this clock. */
export function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** Works off a task; answers when all is done, or its time is over. */
export async function runAgent(task: AgentTask): Promise<AgentAnswer> {
  const endMs = performance.now() + task.untilMs;
  const flows = new Map<number, FlowCount>();
  const over = new Set<number>();
  const flow = (id: number) => {
    const found = flows.get(id);
    if (found !== undefined) return found;
    const made = countFlow();
    flows.set(id, made);
    return made;
  };
  const listening: (Socket | Server)[] = [];
  const begin = nowUs();
  let fault: string | undefined;
  try {
    listening.push(await listenUdp("udp4", task.port, flow, over));
    // Where the kernel has no IPv6, nobody asks for it.
    const six = await listenUdp("udp6", task.port, flow, over).catch(() => null);
    if (six !== null) listening.push(six);
    listening.push(await listenTcp(task.port, flow, over));
  } catch (error) {
    fault = error instanceof Error ? error.message : String(error);
  }
  const begun = nowUs();
  const echoed: Record<string, Echoed> = {};
  const sent: Record<string, Sent> = {};
  const left = () => Math.max(0, endMs - performance.now());
  if (fault === undefined) {
    const work = [
      ...task.echoes.map(async (one) => void (echoed[one.flow] = await echo(one, left))),
      ...task.sends.map(async (one) => void (sent[one.flow] = await send(one, left))),
      ...task.floods.map(async (one) =>
        void (sent[one.flow] = await (one.tcp ? floodTcp : floodUdp)(one, left))
      ),
    ];
    await Promise.all(work);
    await Promise.all(task.flings.map(async (one) => void (sent[one.flow] = await fling(one, left))));
    const done = (id: number) => {
      if (over.has(id)) return true;
      const last = flows.get(id)?.lastUs() ?? null;
      return last !== null && nowUs() - last > FLOOD_SILENCE_MS * 1000;
    };
    while (left() > 0 && (task.stays === true || !task.expect.every(done))) await pause(Math.min(20, left()));
    await pause(Math.min(task.lingerMs, left()));
  }
  for (const one of listening) one.close();
  return {
    received: Object.fromEntries([...flows].map(([id, count]) => [id, count.result()])),
    echoed,
    sent,
    listenedUs: [fault === undefined ? begun : begin, nowUs()],
    ...(fault === undefined ? {} : { fault }),
  };
}

type Flows = (id: number) => FlowCount;

/** Answers and counts. @throws {Error} when the port is taken. */
async function listenUdp(
  type: "udp4" | "udp6",
  port: number,
  flow: Flows,
  over: Set<number>,
): Promise<Socket> {
  const socket = createSocket(type === "udp6" ? { type, ipv6Only: true } : { type });
  const answer = (datagram: Buffer, kind: Kind, packet: Packet, to: RemoteInfo) =>
    socket.send(writePacket(Buffer.from(datagram), { ...packet, kind }), to.port, to.address, () => {});
  socket.on("message", (datagram, from) => {
    const at = nowUs();
    const packet = readPacket(datagram);
    if (packet === null) return;
    if (packet.kind === "hello") answer(datagram, "welcome", packet, from);
    else if (packet.kind === "echo") answer(datagram, "answer", packet, from);
    else if (packet.kind === "data") flow(packet.flow).add(packet, datagram.length, at);
    else if (packet.kind === "bye") {
      over.add(packet.flow);
      answer(datagram, "farewell", packet, from);
    }
  });
  await bound(socket, port, undefined);
  return socket;
}

/** Counts the bytes of connections, each of which begins with its flow's number. */
function listenTcp(port: number, flow: Flows, over: Set<number>): Promise<Server> {
  const server = createServer((connection) => {
    let id: number | null = null;
    connection.on("data", (chunk: Buffer) => {
      id ??= chunk.length >= 4 ? chunk.readUInt32BE(0) : 0;
      flow(id).addBytes(chunk.length, nowUs());
    });
    connection.on("error", () => connection.destroy());
    connection.on("close", () => {
      if (id !== null) over.add(id);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Binds a socket and keeps later errors (an unreachable address) from ending the process: silence tells enough. */
function bound(socket: Socket, port: number, address: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ port, ...(address === undefined ? {} : { address }) }, () => {
      socket.removeListener("error", reject);
      socket.on("error", () => {});
      resolve();
    });
  });
}

/** One task's own socket. */
interface Voice {
  say(kind: Kind, sequence: number, bytes?: number): void;
  /** Ends with the next datagram of the flow that comes back, or after that many milliseconds. */
  listen(ms: number): Promise<void>;
  close(): void;
}

/** A socket of one task's own, and the datagrams of its flow that come back. */
async function speak(
  task: { readonly flow: number; readonly to: string; readonly port: number; readonly from?: string },
  heard: (packet: Packet) => void,
): Promise<Voice | null> {
  const socket = createSocket(task.to.includes(":") ? "udp6" : "udp4");
  try {
    await bound(socket, 0, task.from);
  } catch {
    // The address is not there any more: as good as not reached.
    socket.close();
    return null;
  }
  socket.on("message", (datagram) => {
    const packet = readPacket(datagram);
    if (packet?.flow !== task.flow) return;
    heard(packet);
    wake?.abort();
  });
  let wake: AbortController | undefined;
  return {
    async listen(ms) {
      wake = new AbortController();
      await pause(ms, undefined, { signal: wake.signal }).catch(() => {}); // woken
    },
    say(kind, sequence, bytes = HEADER_BYTES) {
      const packet = { kind, flow: task.flow, sequence, sentUs: nowUs() };
      const datagram = writePacket(Buffer.alloc(Math.max(bytes, HEADER_BYTES)), packet);
      socket.send(datagram, task.port, task.to, () => {});
    },
    close: () => socket.close(),
  };
}

/** Says something again and again until it is answered. */
async function until(
  answered: () => boolean,
  voice: Voice,
  kind: Kind,
  everyUs: number,
  waitMs: number,
): Promise<boolean> {
  const end = performance.now() + waitMs;
  while (!answered()) {
    const left = end - performance.now();
    if (left <= 0) return false;
    voice.say(kind, 0);
    const next = performance.now() + Math.min(everyUs / 1000, left);
    while (!answered() && performance.now() < next) {
      await voice.listen(Math.max(TICK_MS, next - performance.now()));
    }
  }
  return true;
}

/** Calls `say` for each number at its time. A late timer is made up for. */
async function paced(count: number, everyUs: number, left: () => number, say: (at: number) => void) {
  const begin = performance.now();
  let at = 0;
  while (at < count && left() > 0) {
    const due = Math.min(count, Math.floor((performance.now() - begin) * 1000 / everyUs) + 1);
    while (at < due) say(at++);
    if (at < count) await pause(Math.max(TICK_MS, begin + at * everyUs / 1000 - performance.now()));
  }
  return { sent: at, ms: performance.now() - begin };
}

async function echo(task: EchoTask, left: () => number): Promise<Echoed> {
  const rtts = new Map<number, number>();
  let [reached, farewell] = [false, false];
  const voice = await speak(task, (packet) => {
    if (packet.kind === "welcome") reached = true;
    else if (packet.kind === "farewell") farewell = true;
    else if (packet.kind === "answer" && !rtts.has(packet.sequence)) {
      rtts.set(packet.sequence, nowUs() - packet.sentUs);
    }
  });
  if (voice === null) return { reached, sent: 0, rttsUs: [] };
  const everyUs = task.greetUs ?? GREET_US;
  const wait = Math.min(task.waitMs, left());
  await until(() => reached, voice, "hello", everyUs, wait);
  if (!reached) {
    voice.close();
    return { reached, sent: 0, rttsUs: [] };
  }
  const { sent } = await paced(task.count, task.everyUs, left, (at) => voice.say("echo", at, task.bytes));
  const slowest = () => Math.max(0, ...rtts.values()) / 1000;
  const end = performance.now() + Math.min(task.waitMs, left());
  const begin = performance.now();
  while (rtts.size < sent && performance.now() < end) {
    // With some lost, three times the slowest so far is long enough.
    if (rtts.size > 0 && performance.now() - begin > 100 + 3 * slowest()) break;
    await voice.listen(rtts.size === 0 ? Math.max(TICK_MS, end - performance.now()) : LISTEN_MS);
  }
  await until(() => farewell, voice, "bye", everyUs, Math.min(BYE_MS, left()));
  voice.close();
  return { reached, sent, rttsUs: [...rtts.values()].map(Math.round) };
}

async function send(task: SendTask, left: () => number): Promise<Sent> {
  let [reached, farewell] = [false, false];
  const voice = await speak(task, (packet) => {
    if (packet.kind === "welcome") reached = true;
    else if (packet.kind === "farewell") farewell = true;
  });
  if (voice === null) return { reached, sent: 0, ms: 0, endUs: nowUs() };
  const greetUs = task.greetUs ?? GREET_US;
  await until(() => reached, voice, "hello", greetUs, Math.min(task.waitMs, left()));
  const { sent, ms } = reached
    ? await paced(task.count, task.everyUs, left, (at) => voice.say("data", at, task.bytes))
    : { sent: 0, ms: 0 };
  const endUs = nowUs();
  if (reached) {
    await until(() => farewell, voice, "bye", greetUs, Math.min(task.waitMs, left()));
  }
  voice.close();
  return { reached, sent, ms, endUs };
}

async function floodUdp(task: FloodTask, left: () => number): Promise<Sent> {
  let reached = false;
  const voice = await speak(task, () => reached = true);
  if (voice === null) return { reached, sent: 0, ms: 0, endUs: nowUs() };
  const wait = Math.min(task.waitMs, left());
  await until(() => reached, voice, "hello", GREET_US, wait);
  const begin = performance.now();
  const perMs = task.bps / 8 / task.bytes / 1000;
  let [sent, credit, last] = [0, 1, begin];
  while (reached && left() > 0 && performance.now() - begin < task.ms) {
    const now = performance.now();
    credit = Math.min(credit + (now - last) * perMs, Math.max(1, CATCH_UP_MS * perMs));
    last = now;
    for (; credit >= 1; credit--) voice.say("data", sent++, task.bytes);
    await pause(TICK_MS);
  }
  voice.close();
  return { reached, sent, ms: performance.now() - begin, endUs: nowUs() };
}

async function floodTcp(task: FloodTask, left: () => number): Promise<Sent> {
  const end = performance.now() + Math.min(task.waitMs, left());
  let connection: Awaited<ReturnType<typeof dial>> = null;
  while (connection === null && performance.now() < end) {
    connection = await dial(task, end - performance.now());
    if (connection === null) await pause(GREET_US / 1000);
  }
  if (connection === null) return { reached: false, sent: 0, ms: 0, endUs: nowUs() };
  const more = Array.from({ length: TCP_LINES - 1 }, () => dial(task, Math.min(task.waitMs, left())));
  const lines = [connection, ...(await Promise.all(more)).filter((line) => line !== null)];
  const begin = performance.now();
  const chunk = Buffer.alloc(TCP_CHUNK);
  chunk.writeUInt32BE(task.flow, 0);
  let sent = 0;
  await Promise.all(lines.map(async (line) => {
    let broken = false;
    line.on("error", () => broken = true);
    while (!broken && left() > 0 && performance.now() - begin < task.ms) {
      if (!line.writableNeedDrain) {
        sent += chunk.length;
        if (line.write(chunk)) continue;
      }
      // An end of it is told by `broken`, or by the clock.
      await once(line, "drain", { signal: AbortSignal.timeout(DRAIN_MS) }).catch(() => {});
    }
    line.destroy();
  }));
  return { reached: true, sent, ms: performance.now() - begin, endUs: nowUs() };
}

/** Connects; null where nobody answers, or not yet. */
function dial(task: FloodTask, waitMs: number) {
  return new Promise<ReturnType<typeof connect> | null>((resolve) => {
    const socket = connect({ host: task.to, port: task.port });
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(null);
    }, waitMs);
    socket.on("error", () => {
      clearTimeout(timer);
      resolve(null);
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

async function fling(task: FlingTask, left: () => number): Promise<Sent> {
  const voice = await speak(task, () => {});
  if (voice === null) return { reached: false, sent: 0, ms: 0, endUs: nowUs() };
  const { sent, ms } = await paced(
    task.count,
    FLING_MS * 1000,
    left,
    (at) => voice.say("data", at),
  );
  voice.close();
  return { reached: false, sent, ms, endUs: nowUs() };
}
