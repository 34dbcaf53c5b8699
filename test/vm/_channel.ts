// The wire to the agent in a test machine (tasks/dev/vm/guest/agent.sh): commands out, answers in, over the unix
// socket that QEMU gives its serial port. Owns framing and what is pending; knows nothing of machines.
import { connect, type Socket } from "node:net";

/** What a command in the machine said. */
export interface Answer {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A connection to one run of QEMU; the machine in it may reboot. */
export interface Channel {
  /** The boot id of the agent that is listening; null until it says "ready". */
  readonly bootId: string | null;
  /** Whether it has also said that the machine has booted: all that starts at boot has started, or failed. */
  readonly booted: boolean;
  /** Sends a command; rejects when the machine restarts or the wire ends. `seconds`: the agent's own deadline. */
  call(argv: readonly string[], input: Uint8Array, seconds: number): Promise<Answer>;
  /** From now on everything up to the next "ready" is of a boot that is over. */
  expectReboot(): void;
  close(): void;
}

interface Pending {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** Opens the wire. The socket must be there. */
export async function openChannel(path: string): Promise<Channel> {
  const socket = await dial(path);
  const pending = new Map<string, Pending>();
  let bootId: string | null = null;
  let booted = false;
  let count = 0;
  const giveUp = (why: string) => {
    for (const one of pending.values()) one.reject(new Error(why));
    pending.clear();
  };
  const parse = parser((line) => {
    const ready = /^ready (\S+)$/.exec(line);
    if (ready !== null) {
      giveUp("The machine's agent started anew before it had answered");
      bootId = ready[1]!;
      booted = false;
    }
    if (line === "booted") booted = true;
    const done = bootId === null ? null : /^done (\d+) (\d+) (\d+) (\d+)$/.exec(line);
    if (done === null) return null;
    const [, id, exit, out, err] = done as unknown as [string, string, string, string, string];
    return {
      bytes: Number(out) + Number(err),
      take(body) {
        const text = (from: number, to?: number) => body.subarray(from, to).toString("utf8");
        pending.get(id)?.resolve({
          exit: Number(exit),
          stdout: text(0, Number(out)),
          stderr: text(Number(out)),
        });
        pending.delete(id);
      },
    };
  });
  socket.on("data", parse);
  socket.on("error", () => {}); // "close" follows
  socket.on("close", () => {
    bootId = null;
    booted = false;
    giveUp("The machine ended before it had answered");
  });
  return {
    get bootId() {
      return bootId;
    },
    get booted() {
      return booted;
    },
    call(argv, input, seconds) {
      if (bootId === null) return Promise.reject(new Error("The machine's agent is not ready"));
      const id = String(++count);
      const words = Buffer.from(argv.map((word) => `${word}\0`).join(""));
      socket.write(
        Buffer.concat([Buffer.from(`run ${id} ${seconds} ${words.length} ${input.length}\n`), words, input]),
      );
      return new Promise((resolve, reject) => pending.set(id, { resolve, reject }));
    },
    expectReboot() {
      bootId = null;
      booted = false;
      giveUp("The machine was rebooted before it had answered");
    },
    close: () => socket.destroy(),
  };
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", reject);
  });
}

/** What follows a header line: so many bytes, handed over when they are all there. */
interface Body {
  readonly bytes: number;
  take(body: Buffer): void;
}

/** Cuts a stream into header lines and the bodies that `onLine` says follow them; other lines are passed over. */
export function parser(onLine: (line: string) => Body | null): (chunk: Uint8Array) => void {
  let held = Buffer.alloc(0);
  let body: Body | null = null;
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      if (body !== null) {
        if (held.length < body.bytes) return;
        body.take(held.subarray(0, body.bytes));
        held = held.subarray(body.bytes);
        body = null;
      }
      const end = held.indexOf(10);
      if (end < 0) return;
      const line = held.subarray(0, end).toString("latin1");
      held = held.subarray(end + 1);
      body = onLine(line);
    }
  };
}
