// deadline: 3600s
// A whole Debian without systemd: init scripts alone bring it from the first boot to running vnodes, and back after a
// reboot.
import { test } from "uvu";
import { rowStories } from "./_row.ts";

const { firstBoot, secondBoot, end } = await rowStories({
  suite: "sysvinit",
  engine: "20.10",
  layout: "overlay",
});
firstBoot();
secondBoot();
end();
test.run();
