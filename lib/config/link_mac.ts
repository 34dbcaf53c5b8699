// The MAC of a link, derived from names. Apart from address.ts, which reads addresses and brings the schemas' errors
// along: what is wired from the library must not load those.
import { createHash } from "node:crypto";

/**
 * The MAC of a link when none is given: 02: and five bytes of a hash of both names, the same for ever. Never
 * 02:00 (control interfaces) nor 02:42 (Docker's own).
 */
export function linkMac(vnode: string, link: string): string {
  const bytes = createHash("sha256").update(`berth link\0${vnode}\0${link}`).digest();
  const second = bytes[0] === 0x00 || bytes[0] === 0x42 ? 0xbe : bytes[0]!;
  return ["02", ...[second, ...bytes.subarray(1, 5)].map((byte) => byte.toString(16).padStart(2, "0"))].join(
    ":",
  );
}
