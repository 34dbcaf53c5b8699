// deadline: 3600s
// First boot for real: a Debian image with the executable and what `berth host rc --image` writes, two blank disks, power
// on. No hand touches it until two vnodes run with a delayed, lossy, rate-limited link; and again after a reboot.
import { test } from "uvu";
import { type Row, rowStories } from "./_row.ts";

const ROWS: readonly Row[] = [{ suite: "bookworm", engine: "20.10", layout: "overlay" }];
for (const row of ROWS) {
  const { firstBoot, secondBoot, end } = await rowStories(row);
  firstBoot();
  secondBoot();
  end();
}
test.run();
