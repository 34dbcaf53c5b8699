// deadline: 7200s
// The power goes during the first boot, at moments spread over all its steps, and again during the boot after it: what
// comes out is the state of one that was never cut, and whatever stood on the machine before berth came is there.
// BERTH_TEST_SEED chooses the moments, BERTH_TEST_CUTS how many; a machine that was cut four times goes on to the end.
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cutAt, JOURNAL, type Moment, SEED, spread } from "./_cuts.ts";
import { isThere, livedIn, state } from "./_history.ts";
import { isAsWanted, type Row, rowMachine, tell } from "./_row.ts";
import { type Machine, openMachine, whyNoMachine } from "./harness.ts";
import { record } from "../results.ts";
import { skip } from "../skip.ts";

const ROW: Row = { suite: "bookworm", engine: "20.10", layout: "overlay" };
const CUTS = Number(process.env["BERTH_TEST_CUTS"] ?? 20);
/** Cuts between a machine as it was before berth came and the end that is looked at. */
const CHAIN = 4;
const COMMAND_MS = 600_000;

let machine: Machine;
let uncut = "";
let lines = 0;

const absent = process.env["BERTH_LONG"] === "1"
  ? await whyNoMachine(ROW.suite)
  : `${CUTS} cuts and a boot of minutes after every fourth: deno task long`;
const story = (name: string, play: () => Promise<void>) =>
  absent === null ? test(name, play) : skip(test, name, absent);

/** The end of a boot that others were cut short before: all as wanted, nothing lost. */
async function isTheSame(after: string): Promise<void> {
  await isAsWanted(machine, ROW);
  await isThere(machine);
  const check = await machine.run(["berth", "host", "check"], { timeoutMs: COMMAND_MS });
  assert.is(check.exit, 0, `${after}: ${check.stdout}\n${check.stderr}`);
  assert.is(await state(machine), uncut, after);
}

/** The moments of each machine: every chain reaches from the first steps to the last. */
function chains(): readonly (readonly Moment[])[] {
  const moments = spread(CUTS, lines, SEED);
  const count = Math.ceil(CUTS / CHAIN);
  return Array.from({ length: count }, (_, chain) => moments.filter((_, index) => index % count === chain));
}

story("a first boot that nobody cuts, on a machine that was in use", async () => {
  tell(`BERTH_TEST_SEED=${SEED}`);
  const { image, disks, ...options } = await rowMachine(ROW);
  const withoutBerth = image!.split("\n").filter((line) => !line.startsWith("berth ")).join("\n");
  machine = await openMachine({ ...options, image: withoutBerth, disks: [...disks!, 256] });
  await livedIn(machine);
  await machine.sh("berth host rc; sync", { timeoutMs: COMMAND_MS });
  await machine.powerOff();
  await machine.save();
  await machine.start();
  await isAsWanted(machine, ROW);
  await isThere(machine);
  uncut = await state(machine);
  lines = Number(await machine.sh(`wc -l <${JOURNAL}`));
  tell(`first boot ${(machine.bootMs / 1000).toFixed(1)} s, ${lines} lines of journal`);
  await machine.powerOff();
});

story(
  `${CUTS} power cuts during the first boot: the end is the same, nothing of before is lost`,
  async () => {
    for (const moments of chains()) {
      await machine.restore();
      const cuts: number[] = [];
      for (const moment of moments) {
        await machine.start("agent");
        cuts.push(await cutAt(machine, moment));
      }
      await machine.start();
      await isTheSame(`after cuts at lines ${cuts.join(", ")}`);
      tell(`cuts at lines ${cuts.join(", ")} of ${lines}: the same, ${(machine.bootMs / 1000).toFixed(1)} s`);
      record("power-cuts", { cuts, lines, bootMs: machine.bootMs });
      await machine.powerOff();
    }
  },
);

test.after(async () => await machine?.close());
test.run();
