// The gate and wire(), measured in a lab: a network namespace in a throw-away vhost without an engine, where the
// containers are pretended, so that nothing but berth and the kernel is in the numbers.
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openSandbox } from "../../../test/sandbox/harness.ts";
import { BUN } from "../_bundle.ts";
import type { LabAnswer, LabQuestion } from "./lab_types.ts";
import { hello, labBundle } from "./made.ts";

/** Path of stopwatch.pl. */
export const STOPWATCH = fileURLToPath(new URL("stopwatch.pl", import.meta.url));

/** Words before a program that let it run before all others of the machine; CPU time is all they change. */
export const REALTIME = ["chrt", "-f", "10"] as const;

/** Asks the lab in a vhost of its own. @throws {Error} with what it said where it fails. */
export async function askLab(
  question: Pick<LabQuestion, "runs" | "links" | "wireRuns" | "serialRuns" | "other"> & {
    berth: boolean;
    /** Before all other processes of the machine. @default {false} */
    realtime?: boolean;
  },
): Promise<LabAnswer> {
  const [bundled, bare] = await Promise.all([labBundle(), hello()]);
  try {
    const box = await openSandbox({ engine: "20.10", berth: question.berth });
    try {
      const whole: LabQuestion = {
        ...question,
        berth: question.berth ? "/usr/local/bin/berth" : null,
        hello: bare,
        stopwatch: STOPWATCH,
      };
      // sysfs shows the interfaces of the namespace it was mounted in.
      const enter = 'mount -t sysfs sysfs /sys && exec "$@"';
      const said = await box.run(
        [
          "unshare",
          "--net",
          "--mount",
          "sh",
          "-c",
          enter,
          "sh",
          ...(question.realtime ? REALTIME : []),
          BUN,
          bundled,
          JSON.stringify(whole),
        ],
        { timeoutMs: 600_000 },
      );
      if (said.exit !== 0) throw new Error(`The lab ended with ${said.exit}: ${said.stderr}`);
      return JSON.parse(said.stdout) as LabAnswer;
    } finally {
      await box.close();
    }
  } finally {
    rmSync(bundled, { force: true });
  }
}
