// Runs a test file again inside namespaces of its own: mounts, network, processes. What it does there is gone when it
// ends, and nothing of it is seen outside.
import { spawnSync } from "node:child_process";

const INSIDE = "BERTH_TEST_APART";

/** True where this process already lives apart. */
export function isApart(): boolean {
  return process.env[INSIDE] === "1";
}

/** Remounts everything read-only, before the runtime has a file open for writing, and runs what follows. */
const READ_ONLY = `
mount -t tmpfs none /tmp && mount -t tmpfs none /run || exit 99
for point in $(awk '{print $5}' /proc/self/mountinfo); do
  # Fails for what another mount hides; the test proves what counts.
  mount -o remount,bind,ro "$point" 2>/dev/null
done
exec "$@"`;

/**
 * Runs the file apart, passing its output and exit code on.
 *
 * @param options.readOnly with every mount read-only.
 * @returns why it could not, or null.
 */
export function runApart(file: string, options: { readOnly?: boolean } = {}): string | null {
  const namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const tried = spawnSync("unshare", [...namespaces, "true"], { encoding: "utf8" });
  if (tried.status !== 0) return `no namespaces to be had: ${tried.stderr?.trim() || tried.error?.message}`;
  const before = options.readOnly ? ["sh", "-c", READ_ONLY, "sh"] : [];
  const ran = spawnSync("unshare", [...namespaces, ...before, process.execPath, "run", "-A", file], {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1" },
  });
  process.exitCode = ran.status ?? 1;
  return null;
}

/** Runs a program of the preparation; throws with what it said when it fails. */
export function sh(...argv: string[]): string {
  const [program, ...args] = argv;
  const ran = spawnSync(program!, args, { encoding: "utf8" });
  if (ran.status === 0) return ran.stdout;
  throw new Error(`${argv.join(" ")}: ${ran.stderr?.trim() || ran.error?.message}`);
}

/** Puts empty file systems of our own over the writable places. */
export function privateDirectories(...paths: readonly string[]): void {
  for (const path of paths) sh("mount", "-t", "tmpfs", "berth-test", path);
}
