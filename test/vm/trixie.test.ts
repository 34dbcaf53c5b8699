// deadline: 3600s
// A whole Debian with systemd, a newer engine and the thin layout: the power goes three times during its first boot, at
// moments that BERTH_TEST_SEED chooses; what comes out is as wanted all the same, and the next boot changes nothing.
import { test } from "uvu";
import { SEED, spread } from "./_cuts.ts";
import { rowStories, tell } from "./_row.ts";

const CUTS = 3;
/** What berth's journal comes to in a first boot, about. Each boot after a cut adds what the kernel forgot. */
const LINES = 100;

const { cutFirstBoot, secondBoot, end } = await rowStories({
  suite: "trixie",
  engine: "26.1",
  layout: "thin",
});
tell(`BERTH_TEST_SEED=${SEED}`);
cutFirstBoot(spread(CUTS, LINES, SEED));
secondBoot();
end();
test.run();
