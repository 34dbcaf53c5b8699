// Sets, maps and their elements as nft's versions print them, and the lines that change them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  addElementLine,
  canonicalNumber,
  deleteElementLine,
  parseElements,
} from "../../lib/resource/nft_elements.ts";
import { createFakeHost } from "../fake/host.ts";
import { type NftTable, nftTable, parseTable, tableText } from "../../lib/resource/nft_table.ts";

const TABLE: NftTable = {
  family: "bridge",
  name: "berth",
  sets: [
    {
      name: "lan_nd",
      type: ["ifname", "ether_addr", "integer"],
      typeof: ["iifname", "ether saddr", "@th,64,128"],
    },
    { name: "style_out", type: ["ipv4_addr"], data: ["verdict"] },
    {
      name: "forwards",
      type: ["inet_proto", "inet_service"],
      data: ["ipv4_addr", "inet_service"],
    },
  ],
  chains: [],
};

/** Captured from nft 1.0.6, and what 1.1.3 and 1.1.7 print otherwise. */
const OLD = {
  nd: ["ifname", "ether_addr", "integer"],
  forwards: "ipv4_addr . inet_service",
};
const NEW = {
  nd: {
    typeof: {
      concat: [
        { meta: { key: "iifname" } },
        { payload: { protocol: "ether", field: "saddr" } },
        { payload: { base: "th", offset: 64, len: 128 } },
      ],
    },
  },
  forwards: ["ipv4_addr", "inet_service"],
};
const RAW = `"0xfe800000000000000000000000000001"`;
const listing = (types: typeof OLD | typeof NEW) =>
  `{"nftables": [{"metainfo": {"version": "1"}}, {"table": {"family": "bridge", "name": "berth"}},
{"set": {"family": "bridge", "name": "lan_nd", "table": "berth", "type": ${
    JSON.stringify(types.nd)
  }, "elem": [
{"concat": ["bve-1", "02:00:00:00:00:01", ${RAW}]}, {"concat": ["bve-1", "02:00:00:00:00:01", -108086391056891903]}]}},
{"map": {"family": "bridge", "name": "style_out", "table": "berth", "type": "ipv4_addr", "map": "verdict", "elem": [
["172.16.0.9", {"jump": {"target": "v_x_out"}}], ["172.16.0.10", {"drop": null}]]}},
{"map": {"family": "bridge", "name": "forwards", "table": "berth", "type": ["inet_proto", "inet_service"], "map": ${
    JSON.stringify(types.forwards)
  }, "elem": [[{"concat": ["udp", 53]}, {"concat": ["172.16.0.9", 53]}]]}}]}`;

test("parseTable() reads a set of raw payload and maps as each version prints them", () => {
  for (const types of [OLD, NEW]) assert.equal(parseTable(listing(types)).sets, nftTable(TABLE).desired.sets);
});

test("tableText() writes typeof and maps, and replaces a map that became a set", () => {
  const lines = tableText(TABLE, null).split("\n");
  assert.ok(lines.includes("add set bridge berth lan_nd { typeof iifname . ether saddr . @th,64,128; }"));
  assert.ok(lines.includes("add map bridge berth style_out { type ipv4_addr : verdict; }"));
  const found = { sets: { style_out: "ipv4_addr", lan_nd: "ifname : mark" }, chains: {} };
  const changed = tableText(TABLE, found).split("\n");
  assert.ok(changed.includes("delete set bridge berth style_out"));
  assert.ok(changed.includes("delete map bridge berth lan_nd"));
});

test("parseElements() reads keys and data of sets and maps", () => {
  const found = parseElements(listing(NEW));
  assert.equal([...found.get("lan_nd")!.keys()], [
    "bve-1 . 02:00:00:00:00:01 . 0xfe800000000000000000000000000001",
    "bve-1 . 02:00:00:00:00:01 . 0xfe80000000000001",
  ]);
  assert.equal([...found.get("style_out")!], [["172.16.0.9", "jump v_x_out"], ["172.16.0.10", "drop"]]);
  assert.equal([...found.get("forwards")!], [["udp . 53", "172.16.0.9 . 53"]]);
  assert.throws(() => parseElements("Error"), (error: Error) => error.message.includes('"Error"'));
});

test("canonicalNumber() writes one number in one way", () => {
  assert.is(canonicalNumber("0x0064ff9b000000000000000000000001"), "0x64ff9b000000000000000000000001");
  assert.is(canonicalNumber("0x2"), "2");
  assert.is(canonicalNumber("4269801473"), "4269801473");
});

test("lines name interfaces in quotes in the bridge family only, and delete by key", () => {
  const port = { table: "bridge berth", set: "lan_macs", key: "ip . 02:00:00:00:00:01" };
  assert.is(addElementLine(port), 'add element bridge berth lan_macs { "ip" . 02:00:00:00:00:01 }');
  const forward = {
    table: "ip berth_nat",
    set: "forwards",
    key: "tcp . 30022",
    data: "172.16.0.9 . 22",
  };
  assert.is(
    addElementLine(forward),
    "add element ip berth_nat forwards { tcp . 30022 : 172.16.0.9 . 22 }",
  );
  assert.is(deleteElementLine(forward), "delete element ip berth_nat forwards { tcp . 30022 }");
});

test("nftTable() names the table that nft cannot list, and what was run", async () => {
  const host = createFakeHost({
    commands: [({ argv }) => argv[0] === "nft" ? { exit: 1, stderr: "cannot\n" } : null],
  });
  const error = await nftTable(TABLE).observe(host).then(() => null, (thrown) => thrown);
  assert.is(error?.code, "command-failed");
  assert.match(error.message, 'Cannot list nft table "bridge berth": nft said "cannot"');
});

test.run();
