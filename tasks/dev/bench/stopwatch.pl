# Starts a program so many times and prints a line for each: wall microseconds, CPU microseconds, peak resident
# KiB, exit code. perl-base is on every Debian; its system calls see what node's do not (wait4). x86-64 only.
# Usage: perl stopwatch.pl RUNS PROGRAM [ARGUMENT ...]
use strict;
my $runs = shift;
sub now { my $at = "\0" x 16; syscall(228, 1, $at); my ($s, $ns) = unpack("qq", $at); $s * 1e6 + $ns / 1e3 }
open(my $said, ">&", \*STDOUT);
$| = 1;
for (1 .. $runs) {
  my $began = now();
  my $pid = fork;
  if (!$pid) {
    open(STDIN, "<", "/dev/null");
    open(STDOUT, ">", "/dev/null");
    chdir "/";
    exec { $ARGV[0] } @ARGV;
    exit 127;
  }
  my ($status, $usage) = ("\0" x 4, "\0" x 144);
  syscall(61, $pid, $status, 0, $usage);
  my $wall = now() - $began;
  my @u = unpack("q5", $usage);
  printf $said "%d %d %d %d\n", $wall, $u[0] * 1e6 + $u[1] + $u[2] * 1e6 + $u[3], $u[4], unpack("i", $status) >> 8;
}
