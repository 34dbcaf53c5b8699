// What one vnode has in the firewall and another spec gives away: to its own next container, or to another vnode.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readRecord } from "../../lib/vnode/record.ts";
import { up } from "../../lib/vnode/up.ts";
import { createWorld, declared } from "./_world.ts";

const FORWARDS = "ip berth_nat/forwards";
const failures = (outcomes: readonly { readonly error?: unknown }[]) =>
  outcomes.flatMap(({ error }) => error === undefined ? [] : [String(error)]);

/** A pair, its forwards and control addresses. */
const pair = (left: string, right = "") =>
  declared(`vnodes:
  left: { image: box${left} }
  right: { image: box, control: { address: 172.16.0.30 }${right} }
`);

test("up() of a vnode with forwards takes what stood for its old control address away with its container", async () => {
  const { ground, elements } = createWorld([]);
  const forward = "forward: [{ port: 8080, to: 22 }]";
  const old = pair(`, control: { address: 172.16.0.20 }, ${forward}`);
  assert.equal(failures(await up(ground, old.vnodes, old.lans)), []);
  assert.equal(elements(FORWARDS), ["tcp . 8080 : 172.16.0.20 . 22"]);
  const next = pair(`, control: { address: 172.16.0.21 }, ${forward}`);
  assert.equal(failures(await up(ground, next.vnodes, next.lans)), []);
  assert.equal(elements(FORWARDS), ["tcp . 8080 : 172.16.0.21 . 22"]);
  assert.equal(elements("inet berth_vnodes/known"), ["172.16.0.21 : ", "172.16.0.30 : "]);
});

for (const [from, to] of [["left", "right"], ["right", "left"]] as const) {
  test(`up() moves a port from ${from} to ${to}, whoever comes first`, async () => {
    const { ground, elements, host, kernel } = createWorld([]);
    const forward = ", forward: [{ port: 8080, to: 22 }]";
    const control = ", control: { address: 172.16.0.20 }";
    const of = (owner: string) =>
      pair(control + (owner === "left" ? forward : ""), owner === "right" ? forward : "");
    const address = { left: "172.16.0.20", right: "172.16.0.30" };
    assert.equal(failures(await up(ground, of(from).vnodes, of(from).lans)), []);
    const outcomes = await up(ground, of(to).vnodes, of(to).lans);
    assert.equal(failures(outcomes), []);
    assert.equal(outcomes.map(({ changed }) => changed), [true, true]);
    assert.equal(elements(FORWARDS), [`tcp . 8080 : ${address[to]} . 22`]);
    assert.equal((await readRecord(host, from))!.spec.forwards ?? [], []);
    const changes = kernel.changes;
    assert.equal((await up(ground, of(to).vnodes, of(to).lans)).map(({ changed }) => changed), [
      false,
      false,
    ]);
    assert.is(kernel.changes, changes);
  });
}

test("up() moves a port to a vnode that is made anew, and swaps two", async () => {
  const { ground, elements } = createWorld([]);
  const control = ", control: { address: 172.16.0.20 }";
  const forward = (port: number) => `, forward: [{ port: ${port}, to: 22 }]`;
  const old = pair(control + forward(8080), forward(9090));
  assert.equal(failures(await up(ground, old.vnodes, old.lans)), []);
  const next = pair(`${control}, env: { A: b }${forward(9090)}`, forward(8080));
  assert.equal(failures(await up(ground, next.vnodes, next.lans)), []);
  assert.equal(elements(FORWARDS), ["tcp . 8080 : 172.16.0.30 . 22", "tcp . 9090 : 172.16.0.20 . 22"]);
});

test("up() in a plan takes nothing away", async () => {
  const { ground, elements, planned } = createWorld([]);
  const forward = ", forward: [{ port: 8080, to: 22 }]";
  const old = pair(forward);
  await up(ground, old.vnodes, old.lans);
  const before = elements(FORWARDS);
  const next = pair("", forward);
  await up(planned().ground, next.vnodes, next.lans);
  assert.equal(elements(FORWARDS), before);
});

test.run();
