// A probe at work by itself: what it must not pile up while the other end does not read.
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { runAgent } from "../../lib/vnode/verify/agent.ts";
import { idleTask } from "../../lib/vnode/verify/ground.ts";

test("a TCP flood at somebody who does not read piles up neither listeners nor bytes", async () => {
  const warned: string[] = [];
  const warn = (warning: Error) => void warned.push(warning.message);
  process.on("warning", warn);
  const accepted: Socket[] = [];
  const server = createServer({ pauseOnConnect: true }, (socket) => void accepted.push(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const flood = { flow: 1, to: "127.0.0.1", port, tcp: true, bps: 0, bytes: 0, ms: 2000, waitMs: 5000 };
  const { sent, fault } = await runAgent({ ...idleTask(0, 20_000), floods: [flood] });
  for (const socket of accepted) socket.destroy();
  server.close();
  process.removeListener("warning", warn);
  assert.is(fault, undefined);
  assert.is(sent["1"]!.reached, true);
  assert.equal(warned, []);
});

test.run();
