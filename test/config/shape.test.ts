// What is written of a link's shaping, as the normal form: directions over both ways, what leans on what, and 0 that
// switches off all that leans on it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";

function linkOf(keys: string) {
  const text = `lans: {w: {}}\nvnodes: {left: {image: debian, links: [{lan: w, ${keys}}]}}`;
  return parseConfig([{ path: "/etc/berth/vnodes.d/pair.yaml", text }]).vnodes[0]!.links[0]!;
}

test("every key of shaping is read, each way", () => {
  const { egress, ingress, oneSegment } = linkOf(
    "rate: 10mbit, delay: 20ms, jitter: 2ms, jitterCorrelation: 25%, distribution: normal, loss: 1%, " +
      "lossCorrelation: 20%, duplicate: 0.1%, duplicateCorrelation: 10%, corrupt: 0.01%, corruptCorrelation: 5%, " +
      "reorder: 5%, reorderCorrelation: 50%, queue: 100packets, " +
      "egress: {lossModel: {toBad: 1%, toGood: 20%}, distribution: uniform, queue: 64KiB}",
  );
  const both = {
    rateBps: 10_000_000,
    delayUs: 20_000,
    jitterUs: 2000,
    jitterCorrelation: 25,
    duplicatePercent: 0.1,
    duplicateCorrelation: 10,
    corruptPercent: 0.01,
    corruptCorrelation: 5,
    reorderPercent: 5,
    reorderCorrelation: 50,
  };
  assert.equal(egress, {
    ...both,
    lossModel: { toBad: 1, toGood: 20, inBad: 100, inGood: 0 },
    queue: { bytes: 65_536 },
  });
  assert.equal(ingress, {
    ...both,
    distribution: "normal",
    lossPercent: 1,
    lossCorrelation: 20,
    queue: { packets: 100 },
  });
  assert.is(oneSegment, true);
});

test("a direction's own kind of loss is instead of the other, and 0 switches off what leans on it", () => {
  assert.equal(linkOf("lossModel: {toBad: 1%, toGood: 9%}, egress: {loss: 2%}").egress, { lossPercent: 2 });
  assert.equal(linkOf("lossModel: {toBad: 1%, toGood: 9%}, egress: {loss: 0%}").egress, {});
  const off = linkOf(
    "delay: 5ms, jitter: 1ms, jitterCorrelation: 5%, reorder: 1%, queue: 5packets, egress: {delay: 0ms}",
  );
  assert.equal(off.egress, {});
  assert.equal(off.ingress, {
    delayUs: 5000,
    jitterUs: 1000,
    jitterCorrelation: 5,
    reorderPercent: 1,
    queue: { packets: 5 },
  });
});

test("only what counts packets wants single frames", () => {
  for (const keys of ["rate: 1mbit", "rate: 1mbit, queue: 64KiB", "delay: 0s", "corrupt: 0%"]) {
    assert.is(linkOf(keys).oneSegment, undefined, keys);
  }
  const counting = [
    "rate: 1mbit, queue: 9packets",
    "duplicate: 1%",
    "corrupt: 1%",
    "lossModel: {toBad: 1%, toGood: 2%}",
    "egress: {delay: 1us, reorder: 1%}",
  ];
  for (const keys of counting) assert.is(linkOf(keys).oneSegment, true, keys);
});

test.run();
