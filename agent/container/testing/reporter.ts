/**
 * For tests: a program that looks at itself from inside a container and reports what it finds, a line per fact. It is
 * perl, since that is on every Debian, starts with nothing but the C library, and can make any system call.
 */

import { run } from "../../../tools/process.ts";

/** Puts perl and the libraries that it needs into a root file system. */
export async function addPerl(rootfs: string): Promise<void> {
  const libraries = [...(await run(["ldd", "/usr/bin/perl"])).matchAll(/(?:=> |^\s*)(\/\S+)/gm)];
  for (const path of ["/usr/bin/perl", ...libraries.map(([, path = ""]) => path)]) {
    Deno.mkdirSync(`${rootfs}${path.replace(/\/[^/]*$/, "")}`, { recursive: true });
    Deno.copyFileSync(path, `${rootfs}${path}`);
  }
  Deno.writeTextFileSync(`${rootfs}/probe`, PROBE);
}

/** Arguments of a process that reports; `asks` are further questions, as `file=/proc/self/cgroup`. */
export function probeArgs(...asks: readonly string[]): string[] {
  return ["/usr/bin/perl", "/probe", ...asks];
}

/**
 * What was found: facts by name. A name can come more than once (mounts, devices); then its values are joined by line
 * ends, in their order.
 */
export type Report = ReadonlyMap<string, string>;

/** Reads what the probe has printed. */
export function parseReport(text: string): Report {
  const facts = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(": ");
    if (at < 0) continue;
    const [name, value] = [line.slice(0, at), line.slice(at + 2)];
    facts.set(name, facts.has(name) ? `${facts.get(name)}\n${value}` : value);
  }
  return facts;
}

/** x86-64 and arm64 have different numbers for some of what is tried. */
const PROBE = String.raw`
my $arm = -e "/lib/ld-linux-aarch64.so.1" || -e "/lib/aarch64-linux-gnu";
my %nr = $arm
  ? (ioprio_get => 31, mount => 40, unshare => 97, personality => 92, sched_getscheduler => 120, sched_getparam => 121,
     sethostname => 161, reboot => 142, keyctl => 219, bpf => 280, clock_settime => 112, swapon => 224,
     mknodat => 33, ptrace => 117, init_module => 105, chroot => 51, getpid => 172, getpriority => 141,
     sched_getaffinity => 123, getppid => 173, add_key => 217, userfaultfd => 282, prctl => 167, sethostname => 161,
     sched_getattr => 275)
  : (ioprio_get => 252, mount => 165, unshare => 272, personality => 135, sched_getscheduler => 145,
     sched_getparam => 143, sethostname => 170, reboot => 169, keyctl => 250, bpf => 321, clock_settime => 227,
     swapon => 167, mknodat => 259, ptrace => 101, init_module => 175, chroot => 161, getpid => 39,
     getpriority => 140, sched_getaffinity => 204, getppid => 110, add_key => 248, userfaultfd => 323, prctl => 157,
     sched_getattr => 315);
sub slurp { my ($p) = @_; open(my $f, "<", $p) or return "(" . errno() . ")"; local $/; my $t = <$f>; close $f;
  defined $t or return "(" . errno() . ")"; $t =~ s/\s+$//; $t }
sub errno { my %n = (1 => "EPERM", 2 => "ENOENT", 13 => "EACCES", 14 => "EFAULT", 17 => "EEXIST", 20 => "ENOTDIR",
  22 => "EINVAL", 30 => "EROFS", 38 => "ENOSYS", 40 => "ELOOP", 16 => "EBUSY", 19 => "ENODEV", 28 => "ENOSPC",
  21 => "EISDIR", 6 => "ENXIO", 15 => "ENOTBLK", 95 => "EOPNOTSUPP", 27 => "EFBIG", 3 => "ESRCH"); $n{$! + 0} || ($! + 0) }
sub say1 { my ($k, $v) = @_; $v = "" unless defined $v; for my $l (split /\n/, $v, -1) { print "$k: $l\n" } print "$k: \n" if $v eq "" }
sub kind { my ($p) = @_; my @s = lstat $p or return "(" . errno() . ")"; my $m = $s[2]; my $t = $m & 0170000;
  my %t = (0010000 => "p", 0020000 => "c", 0040000 => "d", 0060000 => "b", 0100000 => "-", 0120000 => "l", 0140000 => "s");
  my $d = ($t == 0020000 || $t == 0060000) ? sprintf(" %d:%d", ($s[6] >> 8) & 0xfff, ($s[6] & 0xff) | (($s[6] >> 12) & 0xfff00)) : "";
  my $l = $t == 0120000 ? " -> " . readlink($p) : sprintf(" %04o %d:%d", $m & 07777, $s[4], $s[5]);
  return $t{$t} . $l . $d }
$| = 1;
my $status = slurp("/proc/self/status");
for my $k (qw(Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters SigIgn SigBlk SigCgt
  Cpus_allowed_list Mems_allowed_list NSpid)) {
  say1("status $k", join(" ", split(" ", $1))) if $status =~ /^$k:[ \t]*(.*)$/m }
say1("umask", sprintf("%04o", umask));
say1("cwd", readlink("/proc/self/cwd"));
say1("env $_", $ENV{$_}) for sort keys %ENV;
say1("arguments", slurp("/proc/self/cmdline") =~ s/\0/ /gr);
say1("ns $_", readlink("/proc/self/ns/$_")) for qw(cgroup ipc mnt net pid time user uts);
say1("hostname", slurp("/proc/sys/kernel/hostname"));
say1("domainname", slurp("/proc/sys/kernel/domainname"));
say1("limits", slurp("/proc/self/limits") =~ s/ +/ /gr);
say1("oom_score_adj", slurp("/proc/self/oom_score_adj"));
say1("uid_map", join("\n", map { join " ", split } split /\n/, slurp("/proc/self/uid_map")));
say1("gid_map", join("\n", map { join " ", split } split /\n/, slurp("/proc/self/gid_map")));
say1("setgroups", slurp("/proc/self/setgroups"));
say1("timens", slurp("/proc/self/timens_offsets") =~ s/ +/ /gr);
say1("cgroup", join("\n", grep { /^0::/ } split /\n/, slurp("/proc/self/cgroup")));
say1("scheduler", syscall($nr{sched_getscheduler}, 0));
say1("nice", 20 - syscall($nr{getpriority}, 0, 0));
my $param = pack("l", 0); syscall($nr{sched_getparam}, 0, $param); say1("priority", unpack("l", $param));
say1("ioprio", syscall($nr{ioprio_get}, 1, 0));
say1("personality", syscall($nr{personality}, 0xffffffff));
say1("pid", $$);
say1("securebits", syscall($nr{prctl}, 27, 0, 0, 0, 0));
say1("dumpable", syscall($nr{prctl}, 3, 0, 0, 0, 0));
opendir(my $fds, "/proc/self/fd"); my $own = fileno($fds) || -1;
for my $fd (sort { $a <=> $b } grep { /^\d+$/ } readdir $fds) {
  my $to = readlink("/proc/self/fd/$fd"); next if !defined $to || $to =~ m{^/proc/\d+/fd$} || $to eq "/probe";
  say1("fd", $fd . " " . ($to =~ s/\[\d+\]//r)) }
closedir $fds;
for my $line (split /\n/, slurp("/proc/self/mountinfo")) {
  my ($l, $r) = split / - /, $line, 2; my @l = split / /, $l; my ($type, $source, $super) = split / /, $r;
  my $spread = join(",", map { s/:\d+//r } @l[6 .. $#l]);
  say1("mount $l[4]", "$type $source $l[5] [$spread] {$super}") }
sub tree { my ($p) = @_; opendir(my $d, $p) or return; for my $n (sort grep { !/^\.\.?$/ } readdir $d) {
  say1("dev $p/$n", kind("$p/$n")); tree("$p/$n") if -d "$p/$n" && !-l "$p/$n" } }
tree("/dev");
say1("root", kind("/"));
for my $ask (@ARGV) {
  my ($what, $of) = split /=/, $ask, 2;
  if ($what eq "file") { say1("file $of", slurp($of)) }
  elsif ($what eq "stat") { say1("stat $of", kind($of)) }
  elsif ($what eq "write") { say1("write $of", open(my $f, ">>", $of) ? "ok" : errno()) }
  elsif ($what eq "mkdir") { say1("mkdir $of", mkdir($of) ? "ok" : errno()) }
  elsif ($what eq "read") { my $b = ""; my $f; my $ok = open($f, "<", $of) && defined sysread($f, $b, 16); say1("read $of", $ok ? "ok" : errno()) }
  elsif ($what eq "list") { opendir(my $d, $of) or do { say1("list $of", errno()); next }; say1("list $of", join(" ", sort grep { !/^\.\.?$/ } readdir $d)) }
  elsif ($what eq "exec") { my $r = system {$of} $of; say1("exec $of", $r == -1 ? errno() : "ran") }
  elsif ($what eq "mknod") { my ($p, $t, $a, $i) = split /,/, $of; my $m = ($t eq "b" ? 0060000 : 0020000) | 0600;
    my $r = syscall($nr{mknodat}, -100, "$p", $m, ($a << 8) | $i); say1("mknod $of", $r == 0 ? "ok" : errno());
    if ($r == 0) { say1("open $of", open(my $f, "<", $p) ? "ok" : errno()); unlink $p } }
  elsif ($what eq "try") { my ($c, @a) = split /,/, $of; @a = map { /^-?\d+$/ ? $_ + 0 : $_ } @a; push @a, 0 while @a < 6;
    my $pid = fork; if ($pid == 0) { my $r = syscall($nr{$c}, @a); print "try $of: " . ($r == -1 ? errno() : "ok") . "\n"; exit 0 }
    waitpid $pid, 0; say1("try $of", "killed by " . ($? & 127)) if $? & 127 }
}
`;
