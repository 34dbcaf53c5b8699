// Runs a test file again inside namespaces of its own: mounts, network, processes. What it does there is gone when it
// ends, and nothing of it is seen outside.
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const INSIDE = "BERTH_TEST_APART";
const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** Mounts empty file systems over the paths given; the checkout, $0, stays where it is even if it lies below one. */
const COVER = `
mount --bind "$0" /mnt || exit 99
for path in "$@"; do mount -t tmpfs berth-test "$path" || exit 99; done
mkdir -p "$0" && mount --bind /mnt "$0" && umount /mnt`;

/** True where this process already lives apart. */
export function isApart(): boolean {
  return process.env[INSIDE] === "1";
}

/** Remounts everything read-only, before the runtime has a file open for writing, and runs what follows. */
const READ_ONLY = `
root=$0
sh -c '${COVER}' "$root" /tmp /run || exit 99
cd "$root" || exit 99
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
  const before = options.readOnly ? ["sh", "-c", READ_ONLY, ROOT] : [];
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
  sh("sh", "-c", COVER, ROOT, ...paths);
  process.chdir(ROOT); // The directory we stood in may be covered now.
}
