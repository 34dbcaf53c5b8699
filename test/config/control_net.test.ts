// Names of the machine's device for the control network.
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as v from "valibot";
import { controlNetSchema } from "../../lib/config/schema_control_net.ts";

const accepts = (device: string) => v.safeParse(controlNetSchema, { device }).success;

test("names of machines' devices", () => {
  for (const name of ["eth0", "eth1", "enp0s3", "eno1", "bond0", "eth0.5", "auto"]) {
    assert.ok(accepts(name), name);
  }
});

test("names that lead nowhere, or are berth's", () => {
  for (const name of ["lo", "docker0", "_dockercnet", "veth12", "bve-0123456789a", "a b", ""]) {
    assert.not(accepts(name), name);
  }
});

test.run();
