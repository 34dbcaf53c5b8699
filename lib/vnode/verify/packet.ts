// The datagrams that probes exchange: a header of 24 bytes, padded to the size asked for. Owns their form only;
// who sends and counts them is agent.ts. Any other datagram on the port is nobody's, and not counted.

/** What a datagram says. `hello` and `bye` are answered in kind; `echo` comes back as `answer`. */
const KINDS = ["hello", "welcome", "data", "echo", "answer", "bye", "farewell"] as const;
export type Kind = typeof KINDS[number];

/** One datagram, read. */
export interface Packet {
  readonly kind: Kind;
  /** The flow it belongs to: drawn anew for each measurement, so that a stranger's or a late one is not counted. */
  readonly flow: number;
  readonly sequence: number;
  /** When it was sent: microseconds since 1970, by the clock that all probes of this machine share. */
  readonly sentUs: number;
}

/** Bytes of the header, so the least a datagram can be. */
export const HEADER_BYTES = 24;
/** "bert", as a number. */
const MAGIC = 0x62657274;

/** Writes a packet into the head of `buffer`, which is as long as the datagram shall be. */
export function writePacket(buffer: Buffer, packet: Packet): Buffer {
  buffer.writeUInt32BE(MAGIC, 0);
  buffer.writeUInt32BE(KINDS.indexOf(packet.kind), 4);
  buffer.writeUInt32BE(packet.flow, 8);
  buffer.writeUInt32BE(packet.sequence, 12);
  buffer.writeDoubleBE(packet.sentUs, 16);
  return buffer;
}

/** Reads a datagram; null where it is none of ours. */
export function readPacket(datagram: Buffer): Packet | null {
  if (datagram.length < HEADER_BYTES || datagram.readUInt32BE(0) !== MAGIC) return null;
  const kind = KINDS[datagram.readUInt32BE(4)];
  if (kind === undefined) return null;
  return {
    kind,
    flow: datagram.readUInt32BE(8),
    sequence: datagram.readUInt32BE(12),
    sentUs: datagram.readDoubleBE(16),
  };
}
