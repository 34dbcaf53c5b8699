// IPv6 addresses as digits and as nft and the kernel print them, and the one that the kernel makes of a MAC. Pure.
// Apart from config/address.ts, which brings the schemas along: what is wired from the library must not load those.

/** The link-local address that the kernel makes from a MAC (EUI-64), as 32 digits. */
export function linkLocalDigits(mac: string): string {
  const bytes = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const [first = 0, ...rest] = bytes;
  return "fe80000000000000" +
    [first ^ 2, rest[0]!, rest[1]!, 0xff, 0xfe, ...rest.slice(2)].map(byteText).join("");
}

const byteText = (byte: number) => byte.toString(16).padStart(2, "0");

/** An address of RFC 5952's form as 32 digits. */
export function ipv6Digits(address: string): string {
  const [head = "", tail] = address.split("::") as [string, string?];
  const groups = (text: string) => text === "" ? [] : text.split(":").map((one) => one.padStart(4, "0"));
  if (tail === undefined) return groups(head).join("");
  const [first, last] = [groups(head), groups(tail)];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => "0000"), ...last].join(
    "",
  );
}

/** 32 digits as nft prints an address: the first of the longest runs of zero groups, two at least, is left out. */
export function ipv6Text(digits: string): string {
  const groups = digits.match(/.{4}/g)!.map((group) => group.replace(/^0{1,3}/, ""));
  const runs = [...groups.join(":").matchAll(/(?<=^|:)0(:0)+(?=$|:)/g)];
  const longest = runs.reduce<RegExpMatchArray | null>(
    (best, run) => best === null || run[0].length > best[0].length ? run : best,
    null,
  );
  if (longest === null) return groups.join(":");
  const text = groups.join(":");
  const [before, after] = [text.slice(0, longest.index), text.slice(longest.index! + longest[0].length)];
  return `${before.replace(/:$/, "")}::${after.replace(/^:/, "")}`;
}

/** The same as the kernel prints it. */
export function linkLocal(mac: string): string {
  return ipv6Text(linkLocalDigits(mac));
}
