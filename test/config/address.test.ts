// Addresses and subnets: read strictly, written canonically, derived within their bounds.
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as address from "../../lib/config/address.ts";
import { Problem } from "../../lib/config/problem.ts";

const ok = <T>(value: T | Problem): T => {
  if (value instanceof Problem) throw new Error(value.message);
  return value;
};
const v4 = fc.ipV4();
const v6 = fc.ipV6().filter((text) => !text.includes("."));

test("subnetAround() agrees with ipaddr.js on the network and broadcast addresses", () => {
  fc.assert(fc.property(v4, fc.integer({ min: 0, max: 32 }), (text, prefix) => {
    const host = { ...address.addressAt(4, 0n), ...read(text) };
    const subnet = address.subnetAround(host, prefix);
    assert.is(subnet.text, `${ipaddr.IPv4.networkAddressFromCIDR(`${text}/${prefix}`)}/${prefix}`);
    assert.is(
      address.addressAt(4, subnet.last).text,
      ipaddr.IPv4.broadcastAddressFromCIDR(`${text}/${prefix}`).toString(),
    );
    assert.ok(address.isWithin(host, subnet));
  }));
});

function read(text: string): address.Address {
  const bytes = ipaddr.parse(text).toByteArray();
  return address.addressAt(
    bytes.length === 4 ? 4 : 6,
    bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n),
  );
}

test("parseSubnet() accepts what subnetAround() writes, and writes the same", () => {
  fc.assert(fc.property(fc.oneof(v4, v6), fc.nat(128), (text, bits) => {
    const host = read(text);
    const subnet = address.subnetAround(host, Math.min(bits, host.family === 4 ? 32 : 128));
    assert.is(ok(address.parseSubnet(subnet.text)).text, subnet.text);
  }));
});

test("isOverlapping() is symmetric, and true for a subnet within another", () => {
  fc.assert(fc.property(v4, v4, fc.nat(32), fc.nat(32), (a, b, p, q) => {
    const one = address.subnetAround(read(a), p);
    const two = address.subnetAround(read(b), q);
    assert.is(address.isOverlapping(one, two), address.isOverlapping(two, one));
    assert.ok(address.isOverlapping(one, address.subnetAround(read(a), Math.max(p, q))));
  }));
});

test("a derived control address is usable, never the host's, and always the same", () => {
  fc.assert(
    fc.property(fc.string(), v4, fc.integer({ min: 8, max: 29 }), fc.nat(), (name, text, prefix, nth) => {
      const subnet = address.subnetAround(read(text), prefix);
      const host = address.addressAt(4, subnet.first + 1n + BigInt(nth) % (subnet.last - subnet.first - 1n));
      const derived = address.controlAddress(name, subnet, host);
      assert.ok(address.isWithin(derived, subnet));
      assert.is(address.ownAddressOf(subnet, derived), null);
      assert.is.not(derived.text, host.text);
      assert.equal(address.controlAddress(name, subnet, host), derived);
      assert.is(ok(address.parseMac(address.controlMac(derived))), address.controlMac(derived));
    }),
  );
});

test("a derived MAC is unicast, local, and neither a control interface's nor Docker's", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (vnode, link) => {
    const mac = address.linkMac(vnode, link);
    assert.is(ok(address.parseMac(mac)), mac);
    assert.match(mac, /^02:(?!00|42)/);
  }));
});

test("any text is an address, a subnet, a MAC or a problem, never an exception", () => {
  const near = fc.string({ unit: fc.constantFrom(..."0123456789abcdefxX.:/%-".split("")), maxLength: 45 });
  fc.assert(fc.property(fc.oneof(near, fc.string({ unit: "binary" })), (text) => {
    address.parseAddress(text);
    address.parseSubnet(text);
    address.parseInterfaceAddress(text);
    address.parseMac(text);
  }));
});

const refused = [
  "10.1",
  "0x7f.0.0.1",
  "010.0.0.1",
  "10.0.0.256",
  "10.0.0.1 ",
  "2130706433",
  "127.0.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "ff02::1",
  "::ffff:10.0.0.1",
  "::ffff:a00:1",
  "fe80::1%eth0",
  "fd00:::1",
  "",
];
for (const text of refused) {
  test(`"${text}" is no address of a node`, () => {
    assert.instance(address.parseAddress(text), Problem);
  });
}

test("the hint for a taken subnet offers subnets apart from it", () => {
  fc.assert(fc.property(v4, fc.integer({ min: 4, max: 30 }), (text, prefix) => {
    const taken = address.subnetAround(read(text), prefix);
    for (const free of address.freeSubnets([taken])) {
      assert.not.ok(address.isOverlapping(ok(address.parseSubnet(free)), taken));
    }
  }));
});

test.run();
