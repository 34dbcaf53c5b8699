// Numbered datagrams from one network namespace to another, at an even pace: what was sent, and what arrived. perl of
// the host, so that nothing of the image is used. Asserts nothing.
import type { Background, Sandbox } from "./harness.ts";

const SERVE = `$| = 1;
use Socket; socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, 33, 8 << 20); # SO_RCVBUFFORCE: what arrives is not lost here
bind($s, sockaddr_in($ARGV[0], INADDR_ANY)) or die $!; print "ready\n";
while (defined(recv($s, my $d, 2000, 0))) { print unpack("N", $d), "\n" }`;

/** count 0: until it is told to end. Behind its time it catches up, so that the mean is kept; then says how many. */
const SEND = `use Socket; use Time::HiRes qw(time);
my ($to, $port, $bytes, $every, $count) = @ARGV; my $on = 1; $SIG{TERM} = sub { $on = 0 };
socket(my $s, AF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($s, SOL_SOCKET, 32, 8 << 20); # SO_SNDBUFFORCE
connect($s, sockaddr_in($port, inet_aton($to))) or die $!;
my ($n, $begun) = (0, time);
while ($on && (!$count || $n < $count)) {
  while ($n * $every <= time - $begun && (!$count || $n < $count)) { send($s, pack("Nx" . ($bytes - 4), $n++), 0) }
  select(undef, undef, undef, $every) if $every }
print "$n\n";`;

/** Where one end is: a process whose network namespace it is. */
export interface Flow {
  readonly from: number;
  readonly to: number;
  readonly address: string;
  readonly port: number;
  /** Of a datagram; the frame has 42 more. */
  readonly bytes: number;
  readonly everyMs: number;
  /** @default {until stopped} */
  readonly count?: number;
}

const inside = (pid: number, script: string, ...args: readonly (string | number)[]) => [
  ...["nsenter", `--net=/proc/${pid}/ns/net`, "perl", "-e", script, "--", ...args.map(String)],
];

/** A listener's numbers, in the order in which they arrived. */
export interface Heard {
  readonly numbers: () => readonly number[];
  close(): Promise<unknown>;
}

/** Hears a flow. */
export async function hear(box: Sandbox, flow: Flow): Promise<Heard> {
  const ear: Background = box.spawn(inside(flow.to, SERVE, flow.port));
  await box.until("the receiver", (seen) => {
    seen(ear.stdout + ear.stderr);
    return ear.stdout.startsWith("ready");
  });
  return {
    numbers: () => ear.stdout.split("\n").slice(1, -1).map(Number),
    close() {
      ear.kill();
      return ear.ended;
    },
  };
}

/** A sender in the background; `stop` answers how many it has sent. */
export function speak(box: Sandbox, flow: Flow): { stop(): Promise<number> } {
  const { from, address, port, bytes, everyMs, count = 0 } = flow;
  const mouth = box.spawn(inside(from, SEND, address, port, bytes, everyMs / 1000, count));
  return {
    async stop() {
      if (count === 0) mouth.kill("SIGTERM");
      await mouth.ended;
      if (mouth.stderr !== "") throw new Error(`The sender said: ${mouth.stderr}`);
      return Number(mouth.stdout.trim());
    },
  };
}
