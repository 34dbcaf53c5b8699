// The JSON Schema, the examples and the reference page agree with what berth accepts.
import { Ajv2020 } from "ajv/dist/2020.js";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parse } from "yaml";
import { configJsonSchema } from "../../lib/config/json_schema.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import { configurationPage } from "../../lib/config/reference.ts";
import { ROOT } from "./_files.ts";

const schema = configJsonSchema();
const validate = new Ajv2020({ strict: true, strictRequired: false, allErrors: true }).compile(schema);
const examples = join(ROOT, "docs/examples");
const read = (name: string) => readFileSync(join(examples, name), "utf8");

for (const name of readdirSync(examples).filter((file) => file.endsWith(".yaml"))) {
  test(`docs/examples/${name} loads and fits the JSON Schema`, () => {
    const text = read(name);
    parseConfig([{ path: name, text }]);
    assert.ok(validate(parse(text) ?? {}), JSON.stringify(validate.errors));
    assert.match(text, /^# yaml-language-server: \$schema=\S+\n/);
  });
}

test("docs/examples/host.yaml shows every key with its default", () => {
  const text = read("host.yaml");
  const open = text.replace(/^# ( *[a-zA-Z]+:( |$))/gm, "$1");
  assert.equal(parseConfig([{ path: "host.yaml", text: open }]), parseConfig([]));
  const defs = schema.$defs as Record<
    string,
    { properties: Record<string, { anyOf: { properties?: object }[] }> }
  >;
  for (const [section, { anyOf }] of Object.entries(defs.host!.properties)) {
    const shown = Object.keys(parse(open)[section]);
    assert.equal(shown, Object.keys(anyOf[0]!.properties!), section);
  }
});

test("triangle.yaml has what it is meant to show", () => {
  const { lans, vnodes } = parseConfig([{ path: "triangle.yaml", text: read("triangle.yaml") }]);
  assert.is(lans.length, 3);
  assert.is(vnodes.length, 3);
  const [link] = vnodes[0]!.links;
  assert.equal(link!.egress, { rateBps: 5_000_000, delayUs: 10_000, lossPercent: 0.1 });
  assert.equal(link!.ingress, { rateBps: 50_000_000, delayUs: 10_000 });
});

const refused: readonly [string, unknown][] = [
  ["an unknown key", { vnodes: { left: { image: "debian", imagee: "x" } } }],
  ["a bare number for a rate", { vnodes: { left: { image: "debian", links: [{ lan: "w", rate: 10 }] } } }],
  ["a rate without unit", { vnodes: { left: { image: "debian", links: [{ lan: "w", rate: "10" }] } } }],
  ["a vnode without image", { vnodes: { left: {} } }],
  ["a single vnode without image", { name: "left" }],
  ["a bad name", { vnodes: { "Left Node": { image: "debian" } } }],
  ["an unknown key of the host", { engine: { live: true } }],
  ["an MTU out of range", { lans: { w: { mtu: 1 } } }],
];

for (const [what, value] of refused) {
  test(`the JSON Schema refuses ${what}`, () => {
    assert.not.ok(validate(value));
    assert.throws(() =>
      parseConfig([{
        path: "a.json",
        text: JSON.stringify(value),
        kind: JSON.stringify(value).includes("engine") ? "host" : "vnodes",
      }])
    );
  });
}

const accepted: readonly [string, unknown][] = [
  ["nothing", {}],
  ["a list of vnodes", {
    lans: [{ name: "w" }],
    vnodes: [{ name: "left", image: "debian", links: [{ lan: "w" }] }],
  }],
  ["one vnode", { name: "left", image: "debian", env: { A: "$(reboot)" } }],
  ["sections without a value", { engine: null, watch: null }],
];

for (const [what, value] of accepted) {
  test(`the JSON Schema accepts ${what}, and so does berth`, () => {
    assert.ok(validate(value), JSON.stringify(validate.errors));
    parseConfig([{
      path: JSON.stringify(value).includes("engine") ? "host.json" : "a.json",
      text: JSON.stringify(value),
    }]);
  });
}

test("every key of the JSON Schema has a description", () => {
  const bare: string[] = [];
  const walk = (node: unknown, path: string): void => {
    if (node === null || typeof node !== "object") return;
    const { properties } = node as { properties?: Record<string, { description?: string }> };
    for (const [key, value] of Object.entries(properties ?? {})) {
      if (!value.description) bare.push(`${path}.${key}`);
    }
    for (const [key, value] of Object.entries(node)) walk(value, `${path}.${key}`);
  };
  walk(schema, "");
  assert.equal(bare, []);
});

test("docs/configuration.md is not stale (deno run -A tasks/dev/docs.ts writes it)", () => {
  assert.fixture(configurationPage(), readFileSync(join(ROOT, "docs/configuration.md"), "utf8"));
});

test.run();
