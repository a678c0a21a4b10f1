import assert from "node:assert/strict";
import { BPF } from "../bpf.ts";
import { ERRNO } from "../errors.ts";
import { EPOLL } from "../event_loop.ts";
import { CLONE, NS, RND } from "../host.ts";
import { KVM } from "../kvm.ts";
import { MNT, MOUNT_ATTR, MOVE_MOUNT, MS, OPEN_TREE } from "../mount.ts";
import { ETHTOOL } from "../ethtool.ts";
import { RTMGRP } from "../netlink/changes.ts";
import { IFF } from "../netlink/link.ts";
import { NLM, NLMSG } from "../netlink/message.ts";
import { IFA_F, NUD, RTM } from "../netlink/route.ts";
import { RTM_TC } from "../netlink/tc.ts";
import { POLL } from "../poll.ts";
import { TERMIOS, TTY } from "../pty.ts";
import { SIGNALS } from "../signals.ts";
import { TUN } from "../tun.ts";
import { AARCH64 } from "./aarch64.ts";
import { AT, O, RESOLVE, S } from "./file.ts";
import { STRUCTS } from "./structs.ts";
import { X86_64 } from "./x86_64.ts";

const HEADERS = [
  "errno.h",
  "fcntl.h",
  "poll.h",
  "sched.h",
  "signal.h",
  "asm/termbits.h",
  "linux/ethtool.h",
  "linux/bpf.h",
  "linux/if.h",
  "linux/if_addr.h",
  "linux/if_link.h",
  "linux/if_tun.h",
  "linux/kvm.h",
  "linux/mount.h",
  "linux/neighbour.h",
  "linux/netlink.h",
  "linux/nsfs.h",
  "linux/openat2.h",
  "linux/pkt_cls.h",
  "linux/pkt_sched.h",
  "linux/random.h",
  "linux/rtnetlink.h",
  "linux/sockios.h",
  "linux/tc_act/tc_mirred.h",
  "linux/utsname.h",
  "linux/vm_sockets.h",
  "sys/epoll.h",
  "sys/ioctl.h",
  "sys/socket.h",
  "sys/stat.h",
  "sys/statfs.h",
  "sys/un.h",
];

async function run(command: string, args: string[], stdin = ""): Promise<string> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { success, stdout } = await child.output();
  assert.ok(success, `${command} ${args.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
}

/** What the C compiler says that each expression is worth. */
async function evaluate(
  expressions: readonly string[],
  headers: readonly string[],
): Promise<Map<string, number>> {
  const source = [
    "#define _GNU_SOURCE",
    "#include <stddef.h>",
    "#include <stdio.h>",
    ...headers.map((header) => `#include <${header}>`),
    "int main(void) {",
    ...expressions.map((expression) => `printf("%lld\\n", (long long)(${expression}));`),
    "}",
  ].join("\n");
  const folder = await Deno.makeTempDir();
  try {
    await run("gcc", ["-xc", "-w", "-o", `${folder}/abi`, "-"], source);
    const lines = (await run(`${folder}/abi`, [])).trimEnd().split("\n");
    return new Map(expressions.map((expression, i) => [expression, Number(lines[i])]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function compare(expected: ReadonlyMap<string, number>, headers = HEADERS) {
  const actual = await evaluate([...expected.keys()], headers);
  const low = (numbers: ReadonlyMap<string, number>) =>
    Object.fromEntries(Array.from(numbers, ([name, value]) => [name, value >>> 0]));
  assert.deepEqual(low(actual), low(expected));
}

Deno.test("sizes and offsets of structures are those of the C headers", async () => {
  const types: Readonly<Record<string, string>> = { siginfo: "siginfo_t", bpf_attr: "union bpf_attr" };
  const typeOf = (name: string) => types[name] ?? `struct ${name}`;
  const expected = new Map<string, number>();
  for (const [name, fields] of Object.entries(STRUCTS)) {
    for (const [field, value] of Object.entries(fields)) {
      const type = typeOf(name);
      expected.set(field === "size" ? `sizeof(${type})` : `offsetof(${type}, ${field})`, value);
    }
  }
  await compare(expected);
});

Deno.test("constants are those of the C headers", async () => {
  const tables: [Readonly<Record<string, number>>, string][] = [
    [O, "O_"],
    [AT, "AT_"],
    [S, "S_"],
    [RESOLVE, "RESOLVE_"],
    [ERRNO, ""],
    [SIGNALS, ""],
    [EPOLL, "EPOLL"],
    [BPF, "BPF_"],
    [POLL, "POLL"],
    [MS, "MS_"],
    [OPEN_TREE, "OPEN_TREE_"],
    [MOVE_MOUNT, "MOVE_MOUNT_"],
    [CLONE, "CLONE_"],
    [TTY, ""],
    [TERMIOS, ""],
    [KVM, ""],
    [RND, ""],
    [NLM, "NLM_F_"],
    [NLMSG, "NLMSG_"],
    [RTM, "RTM_"],
    [RTM_TC, "RTM_"],
    [RTMGRP, "RTMGRP_"],
    [TUN, ""],
    [ETHTOOL, ""],
    [NS, "NS_"],
    [IFF, "IFF_"],
    [IFA_F, "IFA_F_"],
    [NUD, "NUD_"],
  ];
  const expected = new Map<string, number>();
  for (const [table, prefix] of tables) {
    for (const [name, value] of Object.entries(table)) expected.set(prefix + name, value);
  }
  for (const [name, value] of Object.entries(MOUNT_ATTR)) {
    expected.set(name === "ATIME" ? "MOUNT_ATTR__ATIME" : `MOUNT_ATTR_${name}`, value);
  }
  await compare(expected);
  // These are in a header of the C library that excludes the kernel's own.
  await compare(
    new Map([
      ["MNT_FORCE", MNT.FORCE],
      ["MNT_DETACH", MNT.DETACH],
      ["MNT_EXPIRE", MNT.EXPIRE],
      ["UMOUNT_NOFOLLOW", MNT.NOFOLLOW],
    ]),
    ["sys/mount.h"],
  );
});

/** The system calls that a header defines, by name. */
async function callsOf(header: string, defines: readonly string[] = []): Promise<Map<string, number>> {
  const macros = await run("gcc", [
    "-E",
    "-dM",
    "-xc",
    ...defines.map((name) => `-D${name}`),
    "-include",
    header,
    "/dev/null",
  ]);
  const values = new Map<string, string>();
  for (const [, name, value] of macros.matchAll(/^#define (__NR\w*) (\S+)$/gm)) values.set(name!, value!);
  const calls = new Map<string, number>();
  for (const [name, value] of values) {
    const number = Number(values.get(value) ?? value); // __NR_fcntl is __NR3264_fcntl is 25
    if (name.startsWith("__NR_") && Number.isInteger(number)) calls.set(name.slice(5), number);
  }
  // How many there are, and where those of other architectures begin: no calls.
  calls.delete("syscalls");
  calls.delete("arch_specific_syscall");
  return calls;
}

function compareCalls(table: Readonly<Record<string, number>>, header: ReadonlyMap<string, number>) {
  const newest = Math.max(...Object.values(table));
  const known = [...header].filter(([, number]) => number <= newest);
  assert.ok(known.length > 300, `the header has only ${known.length} calls`);
  assert.deepEqual(Object.fromEntries(known.map(([name]) => [name, table[name]])), Object.fromEntries(known));
  const values = Object.values(table);
  assert.equal(new Set(values).size, values.length, "two calls have one number");
  // What the table has on top are calls newer than the header.
  const headerNewest = Math.max(...header.values());
  const extra = Object.entries(table).filter(([name, number]) => !header.has(name) && number <= headerNewest);
  assert.deepEqual(extra, []);
}

Deno.test("system call numbers of the running architecture are those of its header", async () => {
  const x86 = Deno.build.arch === "x86_64";
  compareCalls(x86 ? X86_64 : AARCH64, await callsOf(x86 ? "asm/unistd_64.h" : "asm/unistd.h"));
});

Deno.test("system call numbers of arm64 are the generic ones", async () => {
  const selected = [
    "RENAMEAT",
    "NEW_STAT",
    "SET_GET_RLIMIT",
    "TIME32_SYSCALLS",
    "SYS_CLONE3",
    "MEMFD_SECRET",
  ];
  const defines = selected.map((name) => `__ARCH_WANT_${name}`);
  compareCalls(AARCH64, await callsOf("asm-generic/unistd.h", [...defines, "__BITS_PER_LONG=64"]));
});

Deno.test("calls that are newer than 5.0 have one number on both architectures", () => {
  const x86: Readonly<Record<string, number>> = X86_64;
  const generic: Readonly<Record<string, number>> = AARCH64;
  const newer = Object.entries(x86).filter(([, number]) => number >= 424);
  assert.ok(newer.length > 40);
  for (const [name, number] of newer) assert.equal(generic[name], number, name);
});
