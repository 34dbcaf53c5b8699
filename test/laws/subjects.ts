// Subjects of the laws that both worlds, the fake host and the real kernel, can be put to.
import { ipBatch } from "../../lib/host/batch.ts";
import type { Host } from "../../lib/host/types.ts";
import { directory, textFile } from "../../lib/resource/kinds/file.ts";
import { jsonFile } from "../../lib/resource/kinds/json_file.ts";
import { addressOn, bridge } from "../../lib/resource/kinds/link.ts";
import { nftElement } from "../../lib/resource/kinds/nft_element.ts";
import { nftTable } from "../../lib/resource/nft_table.ts";
import type { Subject } from "./laws.ts";

/** A new directory with a new file, a file that was there before with another text and mode. */
export function filesSubject(base: string): Subject {
  return {
    resources: [
      directory(`${base}/new`, 0o750),
      textFile(`${base}/new/script`, "#!/bin/sh\n", { mode: 0o755 }),
      textFile(`${base}/old`, "ours\n"),
    ],
    async plant(host) {
      await host.writeText(`${base}/old`, "theirs\n", { mode: 0o600 });
      await host.writeText(`${base}/foreign`, "keep me\n");
    },
    drift: { of: `file ${base}/old`, by: (host) => host.writeText(`${base}/old`, "drift\n") },
    edit: {
      by: (host) => host.writeText(`${base}/new/foreign`, "keep me too\n"),
      survives: async (host) =>
        await host.readText(`${base}/new/foreign`) !== null &&
        await host.readText(`${base}/new/script`) === null,
    },
    async gone(host) {
      await host.remove(`${base}/new/script`);
      await host.remove(`${base}/new`);
      await host.remove(`${base}/old`);
    },
  };
}

/** A JSON file that others also write, and one that is all ours. */
export function jsonSubject(base: string, judge: readonly string[]): Subject {
  const shared = `${base}/shared.json`;
  const theirs = {
    "log-driver": "json-file",
    dns: ["192.0.2.1"],
    runtimes: { crun: { path: "/usr/bin/crun" } },
  };
  const read = async (host: Host) => JSON.parse(await host.readText(shared) ?? "{}");
  return {
    resources: [
      jsonFile(shared, {
        dns: ["192.0.2.53"],
        iptables: false,
        runtimes: { berth: { path: "/usr/lib/berth/runtime" } },
        "log-opts": { nested: { deep: "1" } },
      }, { accepts: (candidate) => ({ argv: [...judge, candidate] }) }),
      jsonFile(`${base}/own.json`, { a: 1 }, { mode: 0o600 }),
    ],
    plant: (host) => host.writeText(shared, `${JSON.stringify(theirs, null, 4)}\n`, { mode: 0o640 }),
    drift: {
      of: `file ${shared}`,
      by: async (host) =>
        host.writeText(shared, `${JSON.stringify({ ...await read(host), iptables: true }, null, 4)}\n`),
    },
    edit: {
      async by(host) {
        const edited = { ...await read(host), dns: ["198.51.100.1"], debug: true };
        await host.writeText(shared, JSON.stringify(edited));
      },
      async survives(host) {
        const left = await read(host);
        return left.debug === true && left.dns[0] === "198.51.100.1" && left.iptables === undefined &&
          left["log-opts"] === undefined && left.runtimes.berth === undefined &&
          left.runtimes.crun !== undefined;
      },
    },
    async gone(host) {
      await host.remove(shared);
      await host.remove(`${base}/own.json`);
    },
  };
}

/** Bridges with an address, beside a foreign bridge with one. */
export function linksSubject(): Subject {
  return {
    resources: [
      bridge("bb-left", { alias: "berth lan left" }),
      bridge("bb-right", { alias: "berth lan right", mtu: 1400 }),
      addressOn("bb-left", "10.9.0.1/24"),
      addressOn("foreign0", "10.9.1.1/24"),
    ],
    async plant(host) {
      await host.exec(ipBatch([
        "link add name foreign0 type bridge",
        'link set dev foreign0 alias "not ours" mtu 1450 up',
        "addr add 10.9.2.1/24 dev foreign0",
      ]));
    },
    drift: {
      of: "bridge bb-right",
      by: (host) => host.exec(ipBatch(["link set dev bb-right mtu 1300"])).then(() => {}),
    },
    edit: {
      by: (host) => host.exec(ipBatch(["addr add 10.9.3.1/24 dev foreign0"])).then(() => {}),
      async survives(host) {
        const { stdout } = await host.query({ argv: ["ip", "-j", "addr", "show", "dev", "foreign0"] });
        return stdout.includes("10.9.3.1") && stdout.includes("10.9.2.1") && !stdout.includes("10.9.1.1");
      },
    },
    async gone(host) {
      await host.exec(ipBatch(["link del dev bb-left", "link del dev bb-right", "link del dev foreign0"]));
    },
  };
}

/** A table with a set of raw payload and maps, elements that are kept and one that comes and goes, beside a foreign table. */
export function elementsSubject(): Subject {
  const table = nftTable({
    family: "bridge",
    name: "berth",
    sets: [
      { name: "names", type: ["ifname"] },
      {
        name: "targets",
        type: ["ifname", "ether_addr", "integer"],
        typeof: ["iifname", "ether saddr", "@th,64,128"],
      },
      { name: "verdicts", type: ["ether_addr"], data: ["verdict"] },
      { name: "marks", type: ["ether_addr"], data: ["mark"] },
    ],
    chains: [{ name: "inner", rules: ["iifname @names accept"] }, { name: "spare", rules: [] }],
  });
  const uplink = nftElement("bridge berth", "names", "ens3");
  const raw = nftElement(
    "bridge berth",
    "targets",
    "ip . 02:00:00:00:00:01 . 0xfe800000000000000000000000000001",
  );
  const nft = (...lines: string[]) => (host: Host) =>
    host.exec({ argv: ["nft", "-f", "-"], input: lines.map((line) => `${line}\n`).join("") }).then(() => {});
  return {
    resources: [table, uplink, raw],
    plant: nft("add table bridge foreign", "add set bridge foreign names { type ifname; }"),
    drift: { of: uplink.id, by: nft('delete element bridge berth names { "ens3" }') },
    edit: {
      by: nft('add element bridge foreign names { "ens3" }'),
      survives: async (host) =>
        (await host.query({ argv: ["nft", "-j", "list", "table", "bridge", "foreign"] })).stdout.includes(
          "ens3",
        ),
    },
    gone: nft("delete table bridge berth"),
  };
}
