// Restarts a vnode with Docker's own command while its peer pings it, and tells how long the link was silent.
import type { Sandbox } from "../../../test/sandbox/harness.ts";
import type { Stage } from "./stage.ts";

/** Who is restarted, and who notices. */
export interface Restart {
  readonly vnode: string;
  readonly peer: string;
  /** The vnode's address on the lan. */
  readonly address: string;
}

/** Shows the restart. @throws {Error} when the link does not come back, or came without its address. */
export async function restarted(
  stage: Stage,
  box: Sandbox,
  { vnode, peer, address }: Restart,
): Promise<void> {
  const answers: number[] = [];
  // A ping that gives up while the vnode is away is begun again.
  const script = `while :; do ping -i 0.1 ${address}; done`;
  const ping = box.clone.start(["docker", "exec", peer, "sh", "-c", script], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  ping.stdout!.setEncoding("utf8").on("data", (text: string) => {
    if (text.includes("bytes from")) answers.push(performance.now());
  });
  try {
    const answer = (after: number) =>
      box.until(`an answer from ${vnode}`, () => answers.some((at) => at > after), { deadlineMs: 20_000 });
    await answer(0);
    const begun = performance.now();
    const { ms } = await stage.show(box, `docker restart --time 1 ${vnode}`);
    await answer(begun + ms);
    const silences = answers.slice(1).map((at, index) => at - answers[index]!);
    const seconds = (value: number) => `${(value / 1000).toFixed(1)} s`;
    stage.text(`The restart took ${seconds(ms)}, with Docker's grace of 1 s for the old process`);
    stage.text(`${peer} pinged ${vnode} ten times a second: no answer for ${seconds(Math.max(...silences))}`);
  } finally {
    // The shell first, or it would begin another ping.
    await box.run(["docker", "exec", peer, "sh", "-c", `pkill -9 -f "^sh -c while"; killall ping`]);
    ping.kill("SIGKILL");
  }
  const { stdout } = await stage.show(box, `docker logs --tail 1 ${vnode}`);
  if (!stdout.includes(`${address}/`)) {
    throw new Error(`${vnode}'s first command did not see its address again`);
  }
  stage.proves(`eth1 was there again before ${vnode}'s first instruction`);
}
