// Probes of what reaches whom, from and to any network namespace of a sandbox, by the host's perl: nothing of an image
// is used. Owns listeners and clients; asserts nothing.
import type { Background, EnterOptions, Sandbox } from "./harness.ts";

/** Accepts on TCP ports, answers on UDP ports ("u53"); says "ready" first. */
const LISTEN = `
use strict; use IO::Socket::INET; use IO::Select; $| = 1;
my $all = IO::Select->new;
for (@ARGV) {
  my $udp = s/^u//;
  my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => $_, Proto => $udp ? "udp" : "tcp", ReuseAddr => 1,
    $udp ? () : (Listen => 64)) or die "$_: $!";
  $all->add($s);
}
print "ready\\n";
while (1) { for my $s ($all->can_read) {
  if ($s->socktype == SOCK_DGRAM) { my $from = $s->recv(my $text, 100); $s->send($text, 0, $from) if defined $from }
  else { my $c = $s->accept; close $c if $c }
} }`;

/** Tries lines "PROTOCOL ADDRESS PORT" all at once and tells of each "open", "refused", "rejected" or "silent". */
const TRY = `
use strict; use IO::Socket::INET; use IO::Select; use Errno qw(ECONNREFUSED); $| = 1;
my @kids;
for my $line (<STDIN>) { chomp $line; my $pid = fork; if ($pid) { push @kids, $pid; next }
  my ($protocol, $address, $port) = split / /, $line;
  my $told = sub { print "$line $_[0]\\n"; exit 0 };
  my $error = sub { $told->($_[0] == ECONNREFUSED ? "refused" : "rejected") };
  my $s = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port, Proto => $protocol, Blocking => 0) or $error->($!+0);
  if ($protocol eq "udp") {
    for (1..4) { $s->send("x") // $error->($!+0);
      if (IO::Select->new($s)->can_read(1)) { defined $s->recv(my $text, 10) ? $told->("open") : $error->($!+0) } }
    $told->("silent");
  }
  $told->("silent") unless IO::Select->new($s)->can_write(4);
  my $wrong = $s->sockopt(SO_ERROR); $wrong ? $error->($wrong) : $told->("open");
}
waitpid $_, 0 for @kids;`;

/** Where a probe runs: in the namespace of a pid, in the router's, or on the vhost itself. */
export type Spot = { readonly pid: number } | "router" | "host";

function at(spot: Spot, argv: readonly string[]): [readonly string[], EnterOptions] {
  if (spot === "host") return [argv, {}];
  if (spot === "router") return [argv, { network: "router" }];
  return [["nsenter", `--net=/proc/${spot.pid}/ns/net`, ...argv], {}];
}

/** Listens until the sandbox ends: "22" is a TCP port, "u53" one of UDP. */
export async function serve(box: Sandbox, spot: Spot, ...ports: readonly string[]): Promise<void> {
  const [argv, how] = at(spot, ["perl", "-e", LISTEN, ...ports]);
  const running: Background = box.spawn(argv, how);
  await box.until("listeners", (seen) => {
    seen(running.stdout + running.stderr);
    return running.stdout === "ready\n";
  });
}

/** What became of each "PROTOCOL ADDRESS PORT". */
export async function probe(
  box: Sandbox,
  spot: Spot,
  targets: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const [argv, how] = at(spot, ["perl", "-e", TRY]);
  const said = await box.run(argv, { ...how, input: targets.map((one) => `${one}\n`).join("") });
  if (said.exit !== 0) throw new Error(`Cannot probe: ${said.stderr}`);
  return Object.fromEntries(
    said.stdout.trim().split("\n").map((line) => {
      const words = line.split(" ");
      return [words.slice(0, 3).join(" "), words[3]!];
    }),
  );
}
