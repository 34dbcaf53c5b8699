// No text of a configuration can become a path or a shell word: in every field it is refused with an issue at that
// field, or (arguments, values of variables and sysctls) carried as data, unchanged.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { configJsonSchema, type JsonSchema } from "../../lib/config/json_schema.ts";
import { parseConfig } from "../../lib/config/parse.ts";
import type { Config } from "../../lib/config/types.ts";
import { BerthError, type Issue } from "../../lib/log/error.ts";

const HOSTILE = [
  "$(reboot)",
  "'; reboot #",
  '"',
  "a\nb",
  "../x",
  "\u0000",
  "-rf",
  "x".repeat(300),
  "`reboot`",
  "a b",
  "",
  "\u202egnp.exe",
  "/etc/../etc/passwd",
];

/** In a path of the schema: the hostile text itself as a key. */
const KEY = "{key}";

/** Where accepted text ends up, for the fields that carry data. */
const CARRIED: Readonly<Record<string, (config: Config) => unknown>> = {
  // Compared with the names of changes, and nothing else.
  "host.consent.objects[]": (config) => config.host.consent.objects[0],
  "vnodes.command[]": (config) => config.vnodes[0]!.command![0],
  "vnodes.env.*": (config) => config.vnodes[0]!.env.A,
  "host.kernel.sysctls.*": (config) => config.host.kernel.sysctls["net.a"],
  // Written below /proc/sys as they are, by no shell's word.
  "vnodes.sysctls.*": (config) => config.vnodes[0]!.sysctls!["net.ipv4.tcp_ecn"],
  "vnodes.links[].sysctls.*": (config) => config.vnodes[0]!.links[0]!.sysctls!["ipv4.rp_filter"],
  "host.engine.options.*": (config) => config.host.engine.options["a"],
};

/** A fingerprint that is one. */
const FOUND = "ext4 0123456789ab";

/** Every text field: its name, and a configuration with the text in it. */
const FIELDS: Readonly<Record<string, (text: string) => { host?: unknown; vnodes?: unknown }>> = {
  "host.engine.package": (text) => ({ host: { engine: { package: text } } }),
  "host.engine.bip": (text) => ({ host: { engine: { bip: text } } }),
  "host.engine.socket": (text) => ({ host: { engine: { socket: text } } }),
  "host.engine.root": (text) => ({ host: { engine: { root: text } } }),
  [`host.engine.options.${KEY}`]: (text) => ({ host: { engine: { options: { [text]: "x" } } } }),
  "host.engine.options.*": (text) => ({ host: { engine: { options: { a: text } } } }),
  "host.storage.layout": (text) => ({ host: { storage: { layout: text } } }),
  "host.storage.disks[]": (text) => ({ host: { storage: { disks: [text] } } }),
  "host.storage.fileSystem": (text) => ({ host: { storage: { fileSystem: text } } }),
  "host.storage.ssd": (text) => ({ host: { storage: { ssd: text } } }),
  "host.storage.minimumDisk": (text) => ({ host: { storage: { minimumDisk: text } } }),
  "host.storage.sizes.vminfo": (text) => ({ host: { storage: { sizes: { vminfo: text } } } }),
  "host.storage.sizes.vms": (text) => ({ host: { storage: { sizes: { vms: text } } } }),
  "host.storage.sizes.pool": (text) => ({ host: { storage: { sizes: { pool: text } } } }),
  "host.storage.sizes.metadata": (text) => ({ host: { storage: { sizes: { metadata: text } } } }),
  "host.consent.replace[].object": (text) => ({
    host: { consent: { replace: [{ object: text, found: FOUND }] } },
  }),
  "host.consent.replace[].found": (text) => ({
    host: { consent: { replace: [{ object: "file system /dev/docker/vms", found: text }] } },
  }),
  "host.consent.wipe[].disk": (text) => ({ host: { consent: { wipe: [{ disk: text, found: FOUND }] } } }),
  "host.consent.wipe[].found": (text) => ({ host: { consent: { wipe: [{ disk: "disk0", found: text }] } } }),
  "host.controlNet.subnet": (text) => ({ host: { controlNet: { subnet: text } } }),
  "host.controlNet.address": (text) => ({ host: { controlNet: { address: text } } }),
  "host.controlNet.device": (text) => ({ host: { controlNet: { device: text } } }),
  "host.controlNet.isolation": (text) => ({ host: { controlNet: { isolation: text } } }),
  "host.controlNet.driver": (text) => ({ host: { controlNet: { driver: text } } }),
  "host.controlNet.gatewayTimeout": (text) => ({ host: { controlNet: { gatewayTimeout: text } } }),
  "host.controlNet.probe[]": (text) => ({ host: { controlNet: { probe: [text] } } }),
  "host.controlNet.routable[]": (text) => ({ host: { controlNet: { routable: [text] } } }),
  [`host.kernel.sysctls.${KEY}`]: (text) => ({ host: { kernel: { sysctls: { [text]: "1" } } } }),
  "host.kernel.sysctls.*": (text) => ({ host: { kernel: { sysctls: { "net.a": text } } } }),
  "host.consent.objects[]": (text) => ({ host: { consent: { objects: [text] } } }),
  "host.kernel.modules[]": (text) => ({ host: { kernel: { modules: [text] } } }),
  "host.watch.resync": (text) => ({ host: { watch: { resync: text } } }),
  [`lans.${KEY}`]: (text) => ({ vnodes: { lans: { [text]: {} } } }),
  "lans.name": (text) => ({ vnodes: { lans: [{ name: text }] } }),
  "lans.driver": (text) => ({ vnodes: { lans: { wire: { driver: text } } } }),
  "lans.subnet": (text) => ({ vnodes: { lans: { wire: { subnet: text } } } }),
  "lans.device": (text) => ({ vnodes: { lans: { wire: { device: text } } } }),
  "lans.host[]": (text) => ({ vnodes: { lans: { wire: { host: [text] } } } }),
  "lans.vxlan.local": (text) => ({
    vnodes: { lans: { wire: { vxlan: { id: 1, peers: ["192.0.2.2"], local: text } } } },
  }),
  "lans.vxlan.peers[]": (text) => ({ vnodes: { lans: { wire: { vxlan: { id: 1, peers: [text] } } } } }),
  "lans.subnets[]": (text) => ({ vnodes: { lans: { wire: { subnets: [text] } } } }),
  [`vnodes.${KEY}`]: (text) => ({ vnodes: { vnodes: { [text]: { image: "debian" } } } }),
  "vnodes.name": (text) => ({ vnodes: { name: text, image: "debian" } }),
  "vnodes.image": (text) => vnode({ image: text }),
  "vnodes.command[]": (text) => vnode({ command: [text] }),
  [`vnodes.env.${KEY}`]: (text) => vnode({ env: { [text]: "x" } }),
  "vnodes.env.*": (text) => vnode({ env: { A: text } }),
  "vnodes.control.address": (text) => vnode({ control: { address: text } }),
  "vnodes.control.mac": (text) => vnode({ control: { mac: text } }),
  "vnodes.links[].lan": (text) => link({ lan: text }),
  "vnodes.links[].address": (text) => link({ address: text }),
  "vnodes.links[].addresses[]": (text) => link({ addresses: [text] }),
  "vnodes.links[].mac": (text) => link({ mac: text }),
  "vnodes.links[].device": (text) => link({ lan: undefined, device: text }),
  "vnodes.links[].name": (text) => link({ name: text }),
  "vnodes.links[].rate": (text) => link({ rate: text }),
  "vnodes.links[].delay": (text) => link({ delay: text }),
  "vnodes.links[].loss": (text) => link({ loss: text }),
  ...Object.fromEntries(["", "egress", "ingress"].flatMap(shapeFields)),
  ...Object.fromEntries(["up", "down", "offset"].map((key) => [
    `vnodes.links[].flap.${key}`,
    (text: string) => link({ flap: { up: "10s", down: "2s", [key]: text } }),
  ])),
  [`vnodes.links[].sysctls.${KEY}`]: (text) => link({ sysctls: { [text]: "1" } }),
  "vnodes.links[].sysctls.*": (text) => link({ sysctls: { "ipv4.rp_filter": text } }),
  [`vnodes.sysctls.${KEY}`]: (text) => vnode({ sysctls: { [text]: "1" } }),
  "vnodes.sysctls.*": (text) => vnode({ sysctls: { "net.ipv4.tcp_ecn": text } }),
  "vnodes.links[].egress.rate": (text) => link({ egress: { rate: text } }),
  "vnodes.links[].egress.delay": (text) => link({ egress: { delay: text } }),
  "vnodes.links[].egress.loss": (text) => link({ egress: { loss: text } }),
  "vnodes.links[].ingress.rate": (text) => link({ ingress: { rate: text } }),
  "vnodes.links[].ingress.delay": (text) => link({ ingress: { delay: text } }),
  "vnodes.links[].ingress.loss": (text) => link({ ingress: { loss: text } }),
  "vnodes.routes[].to": (text) => vnode({ routes: [{ to: text, via: "172.16.0.1" }] }),
  "vnodes.routes[].via": (text) => vnode({ routes: [{ to: "default", via: text }] }),
  "vnodes.routes[].dev": (text) => vnode({ routes: [{ to: "default", via: "172.16.0.1", dev: text }] }),
  "vnodes.routing": (text) => vnode({ routing: text }),
  "vnodes.experiment": (text) => ({ vnodes: { name: "left", image: "debian", experiment: text } }),
  [`vnodes.hosts.${KEY}`]: (text) => vnode({ hosts: { [text]: "10.0.0.1" } }),
  "vnodes.hosts.*": (text) => vnode({ hosts: { a: text } }),
  "vnodes.firewall.style": (text) => vnode({ firewall: { style: text } }),
  "vnodes.firewall.rules[].in": (text) => vnode({ firewall: { rules: [{ in: text }] } }),
  "vnodes.firewall.rules[].out": (text) => vnode({ firewall: { rules: [{ out: text }] } }),
  "vnodes.firewall.rules[].protocol": (text) =>
    vnode({ firewall: { rules: [{ in: "drop", protocol: text }] } }),
  "vnodes.firewall.rules[].ports": (text) =>
    vnode({ firewall: { rules: [{ in: "drop", protocol: "tcp", ports: text }] } }),
  "vnodes.firewall.rules[].from": (text) => vnode({ firewall: { rules: [{ in: "drop", from: text }] } }),
  "vnodes.firewall.rules[].to": (text) => vnode({ firewall: { rules: [{ out: "drop", to: text }] } }),
  "vnodes.forward[].protocol": (text) => vnode({ forward: [{ port: 30022, to: 22, protocol: text }] }),
};

/** All that netem can do, on a link or one of its directions. */
function shapeFields(way: string): readonly [string, (text: string) => object][] {
  const flat = ["queue", "jitter", "jitterCorrelation", "distribution", "lossCorrelation", "duplicate"];
  const more = ["duplicateCorrelation", "corrupt", "corruptCorrelation", "reorder", "reorderCorrelation"];
  const path = way === "" ? "vnodes.links[]" : `vnodes.links[].${way}`;
  const made = (keys: Record<string, unknown>) => link(way === "" ? keys : { [way]: keys });
  return [
    ...[...flat, ...more].map((key) =>
      [`${path}.${key}`, (text: string) => made({ [key]: text })] as [string, (text: string) => object]
    ),
    ...["toBad", "toGood", "inBad", "inGood"].map((key) =>
      [
        `${path}.lossModel.${key}`,
        (text: string) => made({ lossModel: { toBad: "1%", toGood: "9%", [key]: text } }),
      ] as [
        string,
        (text: string) => object,
      ]
    ),
  ];
}

function vnode(keys: Record<string, unknown>) {
  return { vnodes: { vnodes: { left: { image: "debian", ...keys } } } };
}

function link(keys: Record<string, unknown>) {
  return {
    vnodes: {
      lans: { wire: { subnet: "10.1.0.0/24" } },
      vnodes: { left: { image: "debian", links: [{ lan: "wire", ...keys }] } },
    },
  };
}

function parse(files: { host?: unknown; vnodes?: unknown }): Config | readonly Issue[] {
  try {
    return parseConfig([
      { path: "/etc/berth/host.json", text: JSON.stringify(files.host ?? {}) },
      { path: "/etc/berth/vnodes.d/a.json", text: JSON.stringify(files.vnodes ?? {}) },
    ]);
  } catch (error) {
    if (error instanceof BerthError) return error.issues;
    throw error;
  }
}

for (const [field, make] of Object.entries(FIELDS)) {
  for (const text of HOSTILE) {
    const shown = JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
    test(`${field} refuses or carries ${shown}`, () => {
      const answer = parse(make(text));
      const carried = CARRIED[field];
      if (Array.isArray(answer)) {
        const last = field.replaceAll("[]", "").split(".").at(-1)!;
        if (last !== "*" && last !== KEY) {
          assert.ok(answer.every((issue: Issue) => issue.path?.includes(last)), JSON.stringify(answer));
        }
        // What is told is safe to print: nothing raw of what was found.
        assert.not.match(
          answer.flatMap((issue) => Object.values(issue)).join(""),
          // deno-lint-ignore no-control-regex
          /[\u0000-\u001f\u202e]/,
        );
        return;
      }
      assert.ok(carried, `accepted: ${JSON.stringify(answer)}`);
      assert.is(carried(answer as Config), text);
    });
  }
}

test("a file's own name is shown without harm", () => {
  try {
    parseConfig([{ path: '/etc/berth/vnodes.d/$(reboot)\n"\u202e.yaml', text: "x: 1" }]);
  } catch (error) {
    const place = (error as BerthError).issues[0]!.place!;
    assert.is(place, '"/etc/berth/vnodes.d/$(reboot)\\n\\"\\u202e.yaml":1');
    return;
  }
  assert.unreachable("accepted");
});

test("every text field of the schema is in this table", () => {
  const defs = configJsonSchema().$defs as Record<string, JsonSchema>;
  const { then: one, else: experiment } = defs.vnodes as { then: JsonSchema; else: JsonSchema };
  const lans = textFields((experiment.properties as Record<string, JsonSchema>).lans!, "lans");
  const found = new Set([
    ...textFields(defs.host!, "host"),
    ...[...lans].map((path) => path.replace(/^lans(\.\*|\[\])\.?/, "lans.").replace(/\.$/, "")),
    ...textFields(one, "vnodes"),
    `vnodes.${KEY}`,
  ]);
  assert.equal([...found].sort(), [...Object.keys(FIELDS)].sort());
});

function textFields(schema: JsonSchema, path: string): string[] {
  const any = (schema.anyOf ?? []) as JsonSchema[];
  const object = (schema.properties ?? {}) as Record<string, JsonSchema>;
  const values = schema.additionalProperties as JsonSchema | false | undefined;
  const isText = schema.type === "string" || Array.isArray(schema.enum) || Object.keys(schema).length === 0;
  return [
    ...new Set([
      ...(isText ? [path] : []),
      ...any.flatMap((one) => textFields(one, path)),
      ...Object.entries(object).flatMap(([key, value]) => textFields(value, `${path}.${key}`)),
      ...(schema.items ? textFields(schema.items as JsonSchema, `${path}[]`) : []),
      ...(values ? [`${path}.${KEY}`, ...textFields(values, `${path}.*`)] : []),
    ]),
  ];
}

test.run();
