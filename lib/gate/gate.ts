// `berth gate`: what the gate's script calls when the ready-made batches did not do. Wires with a look, or
// fails the start so that the container stays startable: the reason to containerd's log file, the created init
// killed, everything of this life taken away. Never speaks to Docker: dockerd holds the container's lock.
import { parseArgs } from "node:util";
import { createHost } from "../host/host.ts";
import type { Host } from "../host/types.ts";
import { BerthError } from "../log/error.ts";
import { generationOf, lifeOf } from "../vnode/life.ts";
import { effectiveSpec } from "../vnode/live.ts";
import { readRecord } from "../vnode/record.ts";
import { unwire, wire } from "../vnode/wire.ts";
import { wiringOf } from "../vnode/wiring.ts";
import { GATE_FAILED } from "./script.ts";

interface GateCall {
  readonly id: string;
  readonly root: string;
  readonly log: string;
  readonly real: string;
  readonly vnode: string;
  readonly pid: number;
}

function parse(argv: readonly string[]): GateCall {
  const text = { type: "string", default: "" } as const;
  const { values } = parseArgs({
    args: [...argv],
    options: { id: text, root: text, log: text, real: text, vnode: text, pid: text },
  });
  return { ...values, pid: Number(values.pid) };
}

/**
 * Wires the vnode whose start waits. The caller, the gate's script, holds the vnode's lock.
 *
 * @returns 0 when it is wired; 3 when the start is failed, with the reason told and everything cleaned up.
 */
export async function runGate(argv: readonly string[]): Promise<number> {
  const call = parse(argv);
  const host = createHost({ runner: "lean" });
  try {
    await wireStart(host, call);
    return 0;
  } catch (error) {
    await failStart(host, call, error);
    return GATE_FAILED;
  }
}

async function wireStart(host: Host, call: GateCall): Promise<void> {
  const record = await readRecord(host, call.vnode);
  if (record === null || record.containerId !== call.id) {
    throw new BerthError({
      code: "refused",
      object: `vnode ${call.vnode}`,
      message: record === null
        ? "Its record is lost"
        : `Its record is of another container, "${record.containerId.slice(0, 12)}"`,
      next: `berth vnode up ${call.vnode}`,
    });
  }
  const life = await lifeOf(host, call.id, call.pid);
  if (life === null) {
    throw new BerthError({
      code: "command-failed",
      object: `vnode ${call.vnode}`,
      message: `Its init process (pid ${call.pid}) is gone`,
      next: `docker start ${call.vnode}`,
    });
  }
  const wired = await wire(host, wiringOf(effectiveSpec(record)), life, {
    locked: true,
    hostsPath: record.hostsPath,
    readBack: false,
  });
  if (wired.generation !== generationOf(life)) {
    throw new BerthError({
      code: "command-failed",
      object: `vnode ${call.vnode}`,
      message: "Its init process died while it was being wired",
      next: `docker start ${call.vnode}`,
    });
  }
}

async function failStart(host: Host, call: GateCall, error: unknown): Promise<void> {
  const reasons = [reasonOf(call, error)];
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    // Each is tried whatever became of the others: a start that fails half cleaned is worse than a long message.
    await work().catch((cause) => reasons.push(`${what}: ${String(cause)}`));
  };
  const life = await lifeOf(host, call.id, call.pid).catch(() => null);
  const record = await readRecord(host, call.vnode).catch(() => null);
  await attempt(
    "cannot kill the created init",
    () =>
      host.exec({
        argv: [call.real, "--root", call.root, "kill", call.id, "KILL"],
        okExit: [0, 1, 255],
        timeoutMs: 5000,
      }),
  );
  await attempt(
    "cannot take its wiring away",
    () =>
      unwire(host, call.vnode, {
        locked: true,
        // The script may have registered it already.
        spec: record?.spec,
        ...(life !== null && { force: generationOf(life) }),
      }),
  );
  // Last, because containerd shows the last line of level error.
  await tell(host, call, reasons.join("; "));
}

/** One line: object, cause, next step. */
function reasonOf(call: GateCall, error: unknown): string {
  if (!(error instanceof BerthError)) return `vnode ${call.vnode}: fault of berth's own: ${String(error)}`;
  const next = error.next === undefined ? "" : ` (next: ${error.next})`;
  return `${error.object}: ${error.message.replace(/\s+/g, " ")}${next}`;
}

/** Writes the line that containerd shows to the user. A last line of level error is what it takes. */
async function tell(host: Host, call: GateCall, message: string): Promise<void> {
  process.stderr.write(`berth: ${message}\n`);
  if (call.log === "") return;
  const line = JSON.stringify({ level: "error", msg: `berth: ${message}`, time: new Date().toISOString() });
  await host.appendText(call.log, line + "\n").catch(() => {
    // The log file may be gone with its directory: the reason stands on stderr as well.
  });
}
