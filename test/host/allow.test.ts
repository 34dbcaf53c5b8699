// The one look that is given input: a tc batch of shows, and nothing that merely begins like one.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { refusal } from "../../lib/host/allow.ts";

const BATCH = ["tc", "-j", "-batch", "-"];
const SHOW = "filter show dev bve-0123456789a parent ffff:\n";

test("refusal() lets a batch pass in which every line is a show", () => {
  assert.is(refusal({ argv: BATCH, input: SHOW }), null);
  assert.is(refusal({ argv: BATCH, input: SHOW.repeat(200) }), null);
  assert.is(refusal({ argv: BATCH, input: SHOW, netns: "/proc/1/ns/net" }), null);
});

test("refusal() refuses a batch with any other line", () => {
  const others = [
    "",
    "\n",
    "filter del dev lo parent ffff:\n",
    "qdisc del dev lo root\n",
    "filter show dev lo parent ffff:",
    "filter show dev lo parent ffff: \n",
    "filter show dev lo parent ffff:\\\n",
    "filter show dev lo parent ffff: # qdisc\n",
    "filter  show dev lo parent ffff:\n",
    " filter show dev lo parent ffff:\n",
    "filter show dev lo\tparent ffff:\n",
    "filter show dev 'lo' parent ffff:\n",
    "filter show dev lo;x parent ffff:\n",
    "filter show dev lo parent ffff:\r\n",
    "filter show dev lo parent ffff:\u2028qdisc del dev lo root\n",
  ];
  for (const other of others) {
    for (const input of [other, SHOW + other, other + SHOW]) {
      if (input === SHOW) continue; // nothing added
      assert.is(
        refusal({ argv: BATCH, input }),
        "a line of its batch is more than a show",
        JSON.stringify(input),
      );
    }
  }
});

test("refusal() lets no other command have input, and no batch be without", () => {
  for (
    const line of [
      "tc -batch -",
      "tc -j -force -batch -",
      "ip -j -batch -",
      "tc -j -b -",
      "tc -j filter show dev lo",
    ]
  ) {
    assert.is(refusal({ argv: line.split(" "), input: SHOW }), "a look gives no input", line);
  }
  assert.is(refusal({ argv: ["tc -j", "-batch", "-"], input: SHOW }), "a look gives no input");
  assert.is(refusal({ argv: [...BATCH, ""], input: SHOW }), "a look gives no input");
  assert.match(refusal({ argv: BATCH })!, /option "-batch"/);
  assert.is(refusal({ argv: BATCH, input: SHOW, env: { PATH: "/tmp" } }), "a look sets no variables");
});

test.run();
