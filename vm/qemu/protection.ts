/** Confidential guests: what the host's processor offers, and QEMU's options for it. */

import type { ConfidentialGuest } from "../vmm.ts";

/** A kind of protection, with what it needs to know of the processor. */
export type Protection =
  | { readonly kind: "tdx" }
  | { readonly kind: "snp" | "sev"; readonly cBitPosition: number };

/** Reads a small file of the host; undefined when it is not there. */
export type HostFiles = (path: string) => Uint8Array | undefined;

/** Switches of the host's KVM, by what they are switches of. */
const SWITCHES = {
  tdx: "/sys/module/kvm_intel/parameters/tdx",
  snp: "/sys/module/kvm_amd/parameters/sev_snp",
  sev: "/sys/module/kvm_amd/parameters/sev",
} as const;

/** Where the processor's own description can be read, and the entry about encrypted memory. */
const CPUID = "/dev/cpu/0/cpuid";

/** Bit of an address that says "encrypted": that of all but the first of AMD's server processors. */
const USUAL_C_BIT = 51;

/** Name that the machine has the protecting object by. */
const ID = "protection0";

/**
 * What this host protects guests with.
 *
 * @throws {Error} it does not, or not as it is asked for
 */
export function hostProtection(
  wanted: ConfidentialGuest,
  accelerator: string,
  read: HostFiles = readHostFile,
): Protection {
  if (accelerator !== "kvm") {
    throw new Error(`a confidential guest needs the accelerator "kvm": it would run on "${accelerator}"`);
  }
  const has = (name: keyof typeof SWITCHES) =>
    /^[1Y]/i.test(new TextDecoder().decode(read(SWITCHES[name]) ?? new Uint8Array()));
  if (has("tdx")) return { kind: "tdx" };
  const kind = wanted.snp ? "snp" : "sev";
  if (has(kind)) return { kind, cBitPosition: cBitPosition(read(CPUID)) };
  const missing = wanted.snp ? "neither TDX nor SEV-SNP" : "neither TDX nor SEV";
  throw new Error(`this host cannot run confidential guests: its KVM has ${missing} switched on`);
}

/** The answer is four numbers of 32 bits; the second has the position in its lowest six bits. */
function cBitPosition(answer: Uint8Array | undefined): number {
  if (answer === undefined || answer.length < 16) return USUAL_C_BIT;
  const position = new DataView(answer.buffer, answer.byteOffset).getUint32(4, true) & 0x3f;
  return position === 0 ? USUAL_C_BIT : position;
}

/** Property of the machine. */
export const PROTECTED_MACHINE = `confidential-guest-support=${ID}`;

/** The object that protects a guest. */
export function protectionObject(wanted: ConfidentialGuest, protection: Protection): string {
  switch (protection.kind) {
    case "tdx":
      return JSON.stringify({
        "qom-type": "tdx-guest",
        id: ID,
        ...(wanted.hostData && { mrconfigid: hostData(wanted.hostData, MRCONFIGID_BYTES) }),
        "quote-generation-socket": { type: "vsock", cid: "2", port: String(wanted.quotePort) },
      });
    case "sev":
      return `sev-guest,id=${ID},cbitpos=${protection.cBitPosition},reduced-phys-bits=1`;
    case "snp": {
      const identity = wanted.idBlock && wanted.idAuth
        ? `,id-block=${wanted.idBlock},id-auth=${wanted.idAuth}`
        : "";
      const given = wanted.hostData ? `,host-data=${hostData(wanted.hostData, HOST_DATA_BYTES)}` : "";
      return `sev-snp-guest,id=${ID},cbitpos=${protection.cBitPosition},reduced-phys-bits=1,` +
        `policy=0x${wanted.snpPolicy.toString(16)},kernel-hashes=on${identity}${given}`;
    }
  }
}

/** Sizes of the processors' registers for what a host says of a guest. */
const MRCONFIGID_BYTES = 48;
const HOST_DATA_BYTES = 32;

/** A digest as long as its register: cut, or with zeros behind it. */
function hostData(digest: Uint8Array, length: number): string {
  const fitting = new Uint8Array(length);
  fitting.set(digest.subarray(0, length));
  return fitting.toBase64();
}

function readHostFile(path: string): Uint8Array | undefined {
  try {
    using file = Deno.openSync(path);
    if (path === CPUID) file.seekSync(0x8000_001f, Deno.SeekMode.Start);
    const bytes = new Uint8Array(16);
    return bytes.subarray(0, file.readSync(bytes) ?? 0);
  } catch {
    return undefined;
  }
}
