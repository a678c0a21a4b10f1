/**
 * A program of a network namespace that decides which socket gets a new connection (BPF_PROG_TYPE_SK_LOOKUP):
 * connections to any port of the loopback addresses go to one listener for each family.
 */

import { OwnedFd } from "./fd.ts";
import { Pinned, syscall } from "./syscall.ts";
import { FAMILY, type Family } from "./tcp.ts";

/** Numbers of linux/bpf.h. */
const BPF = {
  MAP_CREATE: 0,
  MAP_UPDATE_ELEM: 2,
  PROG_LOAD: 5,
  LINK_CREATE: 28,
  MAP_TYPE_SOCKMAP: 15,
  PROG_TYPE_SK_LOOKUP: 30,
  SK_LOOKUP: 36,
} as const;

/** Functions of the kernel that the program calls, and what it returns. */
const CALL = { MAP_LOOKUP_ELEM: 1, SK_RELEASE: 86, SK_ASSIGN: 124 } as const;
const SK_PASS = 1;

/** Where the program finds what it is about (struct bpf_sk_lookup). */
const LOOKUP = { FAMILY: 8, PROTOCOL: 12, LOCAL_IP4: 40, LOCAL_IP6: 44 } as const;
const IPPROTO_TCP = 6;

/** Which entry of the map has the listener of a family. */
const ENTRY: Readonly<Record<Family, number>> = { INET: 0, INET6: 1 };

/** Size of attributes up to expected_attach_type, map_flags, flags. */
const LOAD_SIZE = 72, MAP_SIZE = 20, UPDATE_SIZE = 32, LINK_SIZE = 16;
const LICENSE = "Apache-2.0";
const INSTRUCTION_SIZE = 8;

/**
 * Gives connections to the namespace's loopback addresses to the listeners, whatever their port is.
 *
 * @param namespaceFd of the network namespace that the listeners are in
 * @returns ends it when it is closed, also by the end of this process
 * @throws {SysError} the kernel has no such programs
 */
export function takeLoopbackConnections(
  namespaceFd: number,
  listeners: ReadonlyMap<Family, number>,
): OwnedFd {
  using map = createMap();
  for (const [family, fd] of listeners) putSocket(map.fd, ENTRY[family], fd);
  using program = loadProgram(lookupProgram(map.fd));
  const memory = new Pinned(LINK_SIZE);
  memory.view.setUint32(0, program.fd, true);
  memory.view.setUint32(4, namespaceFd, true);
  memory.view.setUint32(8, BPF.SK_LOOKUP, true);
  return new OwnedFd(syscall("bpf", [BPF.LINK_CREATE, memory.bytes, LINK_SIZE], "network namespace"));
}

function createMap(): OwnedFd {
  const memory = new Pinned(MAP_SIZE);
  const [KEY_BYTES, VALUE_BYTES, ENTRIES] = [4, 4, 2];
  [BPF.MAP_TYPE_SOCKMAP, KEY_BYTES, VALUE_BYTES, ENTRIES].forEach((value, index) =>
    memory.view.setUint32(4 * index, value, true)
  );
  return new OwnedFd(syscall("bpf", [BPF.MAP_CREATE, memory.bytes, MAP_SIZE], "map of sockets"));
}

function putSocket(mapFd: number, key: number, socketFd: number): void {
  const memory = new Pinned(UPDATE_SIZE + 8);
  const { view, address } = memory;
  view.setUint32(0, mapFd, true);
  view.setBigUint64(8, address + BigInt(UPDATE_SIZE), true);
  view.setBigUint64(16, address + BigInt(UPDATE_SIZE + 4), true);
  view.setUint32(UPDATE_SIZE, key, true);
  view.setUint32(UPDATE_SIZE + 4, socketFd, true);
  syscall("bpf", [BPF.MAP_UPDATE_ELEM, memory.bytes, UPDATE_SIZE], "map of sockets");
}

function loadProgram(instructions: Uint8Array): OwnedFd {
  const license = new TextEncoder().encode(`${LICENSE}\0`);
  const memory = new Pinned(LOAD_SIZE + instructions.length + license.length);
  const licenseAt = LOAD_SIZE + instructions.length;
  memory.bytes.set(instructions, LOAD_SIZE);
  memory.bytes.set(license, licenseAt);
  const { view, address } = memory;
  view.setUint32(0, BPF.PROG_TYPE_SK_LOOKUP, true);
  view.setUint32(4, instructions.length / INSTRUCTION_SIZE, true);
  view.setBigUint64(8, address + BigInt(LOAD_SIZE), true);
  view.setBigUint64(16, address + BigInt(licenseAt), true);
  memory.bytes.set(new TextEncoder().encode("loopback"), 48);
  view.setUint32(68, BPF.SK_LOOKUP, true);
  return new OwnedFd(syscall("bpf", [BPF.PROG_LOAD, memory.bytes, LOAD_SIZE], "program loopback"));
}

/** One instruction: operation, registers, offset, constant. */
type Instruction = readonly [code: number, to: number, from: number, offset: number, value: number];

const LOAD_WORD = 0x61, STORE_WORD = 0x63, MOVE = 0xbf, MOVE_CONSTANT = 0xb7, ADD_CONSTANT = 0x07;
const LOAD_DOUBLE = 0x18,
  CALL_HELPER = 0x85,
  EXIT = 0x95,
  JUMP = 0x05,
  JUMP_EQUAL = 0x15,
  JUMP_UNEQUAL = 0x55;
/** The constant of a LOAD_DOUBLE is the descriptor of a map. */
const PSEUDO_MAP_FD = 1;

/** Loopback addresses as the words that are loaded, on a little-endian machine. */
const LOOPBACK4 = 0x0100007f, LOOPBACK6 = [0, 0, 0, 0x01000000] as const;

function lookupProgram(mapFd: number): Uint8Array {
  const [r0, r1, r2, r3, r6, r7, r8, frame] = [0, 1, 2, 3, 6, 7, 8, 10];
  const assign: Instruction[] = [
    [STORE_WORD, frame, r7, -4, 0],
    [LOAD_DOUBLE, r1, PSEUDO_MAP_FD, 0, mapFd],
    [0, 0, 0, 0, 0],
    [MOVE, r2, frame, 0, 0],
    [ADD_CONSTANT, r2, 0, 0, -4],
    [CALL_HELPER, 0, 0, 0, CALL.MAP_LOOKUP_ELEM],
    // past the rest of these, to the end
    [JUMP_EQUAL, r0, 0, 7, 0],
    [MOVE, r8, r0, 0, 0],
    [MOVE, r1, r6, 0, 0],
    [MOVE, r2, r8, 0, 0],
    [MOVE_CONSTANT, r3, 0, 0, 0],
    [CALL_HELPER, 0, 0, 0, CALL.SK_ASSIGN],
    [MOVE, r1, r8, 0, 0],
    [CALL_HELPER, 0, 0, 0, CALL.SK_RELEASE],
  ];
  const six = LOOPBACK6.flatMap((word, index): Instruction[] => [
    [LOAD_WORD, r3, r6, LOOKUP.LOCAL_IP6 + 4 * index, 0],
    [JUMP_UNEQUAL, r3, 0, 2 * (LOOPBACK6.length - 1 - index) + 1 + assign.length, word],
  ]);
  const rest6: Instruction[] = [...six, [MOVE_CONSTANT, r7, 0, 0, ENTRY.INET6]];
  const four: Instruction[] = [
    [LOAD_WORD, r3, r6, LOOKUP.LOCAL_IP4, 0],
    [JUMP_UNEQUAL, r3, 0, 2 + rest6.length + 1 + assign.length, LOOPBACK4],
    [MOVE_CONSTANT, r7, 0, 0, ENTRY.INET],
    [JUMP, 0, 0, rest6.length + 1, 0],
  ];
  const afterFour = 1 + rest6.length + assign.length;
  const head: Instruction[] = [
    [MOVE, r6, r1, 0, 0],
    [LOAD_WORD, r2, r6, LOOKUP.PROTOCOL, 0],
    [JUMP_UNEQUAL, r2, 0, 2 + four.length + afterFour, IPPROTO_TCP],
    [LOAD_WORD, r2, r6, LOOKUP.FAMILY, 0],
    [JUMP_UNEQUAL, r2, 0, four.length, FAMILY.INET],
  ];
  const only6: Instruction = [JUMP_UNEQUAL, r2, 0, rest6.length + assign.length, FAMILY.INET6];
  const end: Instruction[] = [[MOVE_CONSTANT, r0, 0, 0, SK_PASS], [EXIT, 0, 0, 0, 0]];
  return encoded([...head, ...four, only6, ...rest6, ...assign, ...end]);
}

function encoded(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(INSTRUCTION_SIZE * instructions.length);
  const view = new DataView(bytes.buffer);
  instructions.forEach(([code, to, from, offset, value], index) => {
    const at = INSTRUCTION_SIZE * index;
    view.setUint8(at, code);
    view.setUint8(at + 1, to | from << 4);
    view.setInt16(at + 2, offset, true);
    view.setInt32(at + 4, value, true);
  });
  return bytes;
}
