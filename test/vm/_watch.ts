// What keeps the watch alive on a whole machine: the init system starts it again when it is killed, and systemd also
// when it hangs. Both looked at from outside: which process holds the watch's lock, and what `berth status` says.
import * as assert from "uvu/assert";
import { type Machine, until } from "./harness.ts";

/** Killed as the kernel does it when memory is short: another one runs soon, and all is as wanted. */
export async function comesBackKilled(machine: Machine): Promise<void> {
  const before = await watchPid(machine);
  await machine.sh(`kill -KILL ${before}`);
  await isReplaced(machine, before, "killed");
}

/** Stopped, it answers nobody; its unit's watchdog is made shorter than the five minutes of an image. */
export async function comesBackHung(machine: Machine): Promise<void> {
  const dropIn = "/run/systemd/system/berth-watch.service.d/test.conf";
  await machine.sh(`install -D /dev/null ${dropIn}; printf '[Service]\\nWatchdogSec=20\\n' >${dropIn}`);
  await machine.sh("systemctl daemon-reload; systemctl restart berth-watch", { timeoutMs: 200_000 });
  const before = await watchPid(machine);
  await machine.sh(`kill -STOP ${before}`);
  await isReplaced(machine, before, "hung");
  await machine.sh(`rm ${dropIn}; systemctl daemon-reload`);
}

async function isReplaced(machine: Machine, before: string, how: string): Promise<void> {
  const pid = await until(`another watch than ${before}, which was ${how}`, async (seen) => {
    const found = await watchPid(machine);
    seen(found);
    return found !== "" && found !== before ? found : null;
  }, { deadlineMs: 400_000, everyMs: 1000 });
  await until("a status with nothing wrong", async (seen) => {
    const { exit, stdout, stderr } = await machine.run(["berth", "status"], { timeoutMs: 100_000 });
    seen(`exit ${exit}\n${stdout}${stderr}`);
    return exit === 0 && new RegExp(`^watch: pid ${pid}\\b`, "m").test(stdout);
  }, { deadlineMs: 400_000, everyMs: 1000 });
  assert.is(await watchPid(machine), pid, "and stays");
}

/** The watch that runs; empty where none does. */
async function watchPid(machine: Machine): Promise<string> {
  const { stdout } = await machine.run(["berth", "status", "--json"], { timeoutMs: 100_000 });
  return String((JSON.parse(stdout) as { watch?: { pid?: number } }).watch?.pid ?? "");
}
