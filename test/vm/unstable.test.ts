// deadline: 3600s
// A whole Debian of tomorrow with systemd, its engine and the thin layout: the first boot, and the next one. For the
// long run: what unstable brings changes from day to day.
import process from "node:process";
import { test } from "uvu";
import { skip } from "../skip.ts";
import { rowStories } from "./_row.ts";

if (process.env["BERTH_LONG"] === "1") {
  const { firstBoot, secondBoot, end } = await rowStories({
    suite: "unstable",
    engine: "28.",
    layout: "thin",
  });
  firstBoot();
  secondBoot();
  end();
} else {
  skip(test, "unstable, thin: first and second boot", "minutes long: deno task long");
}
test.run();
