// deadline: 3600s
// A whole Debian without systemd: init scripts alone bring it from the first boot to running vnodes, and back after a
// reboot.
import { test } from "uvu";
import { rowStories } from "./_row.ts";
import { comesBackKilled } from "./_watch.ts";

const { firstBoot, secondBoot, story, machine, end } = await rowStories({
  suite: "sysvinit",
  engine: "20.10",
  layout: "overlay",
});
firstBoot();
story("a watch that is killed runs again, by init", () => comesBackKilled(machine()));
secondBoot();
end();
test.run();
