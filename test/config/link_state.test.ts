// Links without carrier and schedules of links, from a file to the normal form.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";

test("a link is up where nothing is said; a schedule is in milliseconds", () => {
  const text = `
lans: { wire: { subnet: 10.1.0.0/24 } }
vnodes:
  left:
    image: debian
    links:
      - { lan: wire, address: 10.1.0.1 }
      - { lan: wire, address: 10.1.0.2, up: true }
      - { lan: wire, address: 10.1.0.3, up: false }
      - { lan: wire, address: 10.1.0.4, flap: { up: 10s, down: 500ms } }
      - { lan: wire, address: 10.1.0.5, flap: { up: 24h, down: 100ms, offset: 1m }, up: false }
`;
  const { links } = parseConfig([{ path: "/etc/berth/vnodes.d/a.yaml", text }]).vnodes[0]!;
  assert.equal(links.map(({ up, flap }) => ({ up, flap })), [
    { up: undefined, flap: undefined },
    { up: undefined, flap: undefined },
    { up: false, flap: undefined },
    { up: undefined, flap: { upMs: 10_000, downMs: 500, offsetMs: 0 } },
    { up: false, flap: { upMs: 86_400_000, downMs: 100, offsetMs: 60_000 } },
  ]);
});

test.run();
