// Whatever stands in the files, parseConfig answers or throws a BerthError with issues, soon.
import fc from "fast-check";
import process from "node:process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseConfig } from "../../lib/config/parse.ts";
import { BerthError } from "../../lib/log/error.ts";
import { renderIssues } from "../../lib/log/issues.ts";

/** Runs of each property; the long suite does more. */
const RUNS = process.env.BERTH_LONG === "1" ? 20_000 : 100;

function holds(files: { path: string; text: string }[]): void {
  try {
    parseConfig(files);
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    assert.is(error.code, "config");
    assert.ok(error.issues.length > 0);
    // deno-lint-ignore no-control-regex
    assert.not.match(renderIssues(error.issues), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  }
}

const key = fc.constantFrom(
  ..."name image command env control address mac links lan addresses mtu rate delay loss egress ingress routes"
    .split(" "),
  ..."to via hosts lans vnodes subnet subnets engine controlNet watch resync kernel sysctls options bip"
    .split(" "),
  ..."__proto__ constructor toString left right wire eth1 1".split(" "),
);
const word = fc.constantFrom(
  ..."10mbit 10 20ms 1% debian wire left 10.1.0.1 10.1.0.0/24 fd00::1 fd00::/64 default 02:00:00:00:00:01"
    .split(" "),
  ..."0.0.0.0/0 ::/0 172.16.0.0/12 172.16.0.1 255.255.255.255 1e999 $(reboot) ../x -rf \u0000 \u202e".split(
    " ",
  ),
);
const leaf = fc.oneof(word, fc.string({ unit: "binary" }), fc.double(), fc.boolean(), fc.constant(null));
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    leaf,
    fc.dictionary(fc.oneof(key, fc.string()), tie("tree"), { maxKeys: 6 }),
    fc.array(tie("tree"), { maxLength: 4 }),
  ),
}));

const link = fc.record({
  lan: fc.constantFrom("wire", "other", "wir"),
  address: fc.oneof(word, tree),
  rate: fc.oneof(word, tree),
  name: word,
  egress: tree,
}, { requiredKeys: [] });
const vnode = fc.record({
  image: fc.oneof(fc.constant("debian"), tree),
  control: fc.oneof(fc.record({ address: word, mac: word }, { requiredKeys: [] }), tree),
  links: fc.oneof(fc.array(link, { maxLength: 4 }), tree),
  routes: fc.oneof(fc.array(fc.record({ to: word, via: word }), { maxLength: 3 }), tree),
  hosts: tree,
  env: tree,
}, { requiredKeys: [] });
const lan = fc.record({ subnet: word, mtu: fc.integer(), subnets: tree }, { requiredKeys: [] });
const experiment = fc.record({
  lans: fc.oneof(fc.record({ wire: lan, other: lan }, { requiredKeys: [] }), tree),
  vnodes: fc.oneof(fc.dictionary(fc.constantFrom("left", "right", "A b"), vnode), tree),
}, { requiredKeys: [] });

test("parseConfig() answers or explains, for any text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), fc.boolean(), (text, isHost) => {
      holds([{ path: isHost ? "/etc/berth/host.yaml" : "/etc/berth/vnodes.d/a.yaml", text }]);
    }),
    { numRuns: RUNS },
  );
});

test("parseConfig() answers or explains, for anything that looks like YAML", () => {
  const bits = fc.constantFrom(
    ..."- : , { } [ ] & * | > ! % @ # ' \" ? a b << &x *x --- ... %YAML".split(" "),
    "\n",
    "\n  ",
    "\t",
    " ",
  );
  fc.assert(
    fc.property(fc.array(bits, { maxLength: 40 }), (parts) => {
      holds([{ path: "/etc/berth/vnodes.d/a.yaml", text: parts.join("") }]);
    }),
    { numRuns: 2 * RUNS },
  );
});

test("parseConfig() answers or explains, for any data", () => {
  fc.assert(
    fc.property(tree, tree, (host, vnodes) => {
      holds([
        { path: "/etc/berth/host.json", text: JSON.stringify(host) ?? "" },
        { path: "/etc/berth/vnodes.d/a.json", text: JSON.stringify(vnodes) ?? "" },
      ]);
    }),
    { numRuns: RUNS },
  );
});

test("parseConfig() answers or explains, for nearly right experiments", () => {
  fc.assert(
    fc.property(experiment, experiment, (a, b) => {
      holds([
        { path: "/etc/berth/vnodes.d/a.json", text: JSON.stringify(a) },
        { path: "/etc/berth/vnodes.d/b.json", text: JSON.stringify(b) },
      ]);
    }),
    { numRuns: RUNS },
  );
});

const deep: Readonly<Record<string, string>> = {
  "ten thousand brackets": "[".repeat(10_000),
  "ten thousand braces": "{a: ".repeat(10_000),
  "ten thousand dashes": "- ".repeat(10_000),
  "a deep indentation": Array.from({ length: 3000 }, (_, i) => `${" ".repeat(i)}a:\n`).join(""),
  "an anchor within itself": "vnodes: &a\n  left: *a\n",
  "a list within itself": "&a [*a]",
  "a merge of itself": "vnodes: &a\n  <<: *a\n",
  "an unknown anchor": "vnodes: *nowhere\n",
  "a billion laughs": `a: &a [x]\n${
    [..."bcdefghij"].map((c, i) => `${c}: &${c} [${Array(9).fill(`*${"abcdefghij"[i]}`)}]\n`).join("")
  }`,
  "thousands of aliases": `a: &a 1\n${Array.from({ length: 9000 }, (_, i) => `b${i}: *a\n`).join("")}`,
  "thousands of unknown keys": Array.from({ length: 5000 }, (_, i) => `k${i}: 1\n`).join(""),
  "a custom tag": "vnodes: !!js/function 'x'\n",
  "a huge number": '{"lans": {"a": {"mtu": 1e999}}}',
  "another YAML version": "%YAML 1.1\n---\nvnodes: {left: {image: debian, env: {ON: yes}}}\n",
};

for (const [name, text] of Object.entries(deep)) {
  // A bomb that went off would not end at all, and the file's deadline would tell.
  test(`parseConfig() survives ${name}`, () => holds([{ path: "/etc/berth/vnodes.d/a.yaml", text }]));
}

test.run();
