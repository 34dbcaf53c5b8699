// The one number that configuration and wiring both know of IPv6; by itself, so that wiring loads no schema for it.

/** Bytes: what is less carries no IPv6 (RFC 8200, section 5), and the kernel gives it none (IPV6_MIN_MTU). */
export const IPV6_MTU = 1280;
