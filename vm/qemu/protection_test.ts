import assert from "node:assert/strict";
import type { ConfidentialGuest } from "../vmm.ts";
import { buildCommandLine } from "./command_line.ts";
import { type HostFiles, hostProtection, type Protection } from "./protection.ts";

const WANTED: ConfidentialGuest = { snp: false, snpPolicy: 0x30000, quotePort: 4050 };

/** A host by its switches. */
function hostWith(files: Record<string, string | Uint8Array>): HostFiles {
  return (path) => {
    const content = Object.entries(files).find(([name]) => path.endsWith(name))?.[1];
    return typeof content === "string" ? new TextEncoder().encode(content) : content;
  };
}

function argumentsFor(confidential: ConfidentialGuest, protection: Protection): readonly string[] {
  return buildCommandLine({
    config: {
      id: "s",
      dir: "/run/vc/vm/s",
      hypervisorPath: "qemu",
      accelerator: "kvm",
      machineType: "q35",
      kernel: "/vmlinux",
      initrd: "/initrd",
      kernelParams: [],
      agentParams: [],
      vcpus: 1,
      maxVcpus: 1,
      memoryMiB: 2048,
      share: { kind: "none" },
      entropySource: "/dev/urandom",
      firmware: "/ovmf.fd",
      confidential,
      debug: false,
      onConsole: () => {},
      onLog: () => {},
    },
    arch: "x86_64",
    accelerator: "kvm",
    channel: { kind: "vsock", cid: 3 },
    uuid: "0",
    protection,
  }).args;
}

const after = (args: readonly string[], option: string) => args.filter((_, at) => args[at - 1] === option);

Deno.test("confidential guests are protected by what the host has", () => {
  assert.deepEqual(hostProtection(WANTED, "kvm", hostWith({ "kvm_intel/parameters/tdx": "Y\n" })), {
    kind: "tdx",
  });
  assert.deepEqual(hostProtection(WANTED, "kvm", hostWith({ "kvm_amd/parameters/sev": "1\n" })), {
    kind: "sev",
    cBitPosition: 51,
  });
  const cpuid = new Uint8Array(new Uint32Array([0, 0x6f, 0, 0]).buffer);
  const snp = hostWith({ "kvm_amd/parameters/sev_snp": "Y", "kvm_amd/parameters/sev": "Y", cpuid });
  assert.deepEqual(hostProtection({ ...WANTED, snp: true }, "kvm", snp), { kind: "snp", cBitPosition: 47 });
});

Deno.test("confidential guests are refused where the host has nothing, or emulates", () => {
  const none = hostWith({ "kvm_intel/parameters/tdx": "N", "kvm_amd/parameters/sev": "0" });
  assert.throws(
    () => hostProtection(WANTED, "kvm", none),
    /^Error: this host cannot run confidential guests: its KVM has neither TDX nor SEV switched on$/,
  );
  const sev = hostWith({ "kvm_amd/parameters/sev": "Y" });
  assert.throws(
    () => hostProtection({ ...WANTED, snp: true }, "kvm", sev),
    /neither TDX nor SEV-SNP switched on/,
  );
  assert.throws(
    () => hostProtection(WANTED, "tcg", sev),
    /^Error: a confidential guest needs the accelerator "kvm": it would run on "tcg"$/,
  );
  assert.throws(() => hostProtection(WANTED, "kvm"), /this host cannot run confidential guests/);
});

Deno.test("confidential guests: QEMU's arguments for each kind", () => {
  const tdx = argumentsFor({ ...WANTED, quotePort: 4051 }, { kind: "tdx" });
  assert.ok(
    after(tdx, "-object").includes(
      '{"qom-type":"tdx-guest","id":"protection0",' +
        '"quote-generation-socket":{"type":"vsock","cid":"2","port":"4051"}}',
    ),
  );
  const sev = argumentsFor(WANTED, { kind: "sev", cBitPosition: 47 });
  assert.ok(after(sev, "-object").includes("sev-guest,id=protection0,cbitpos=47,reduced-phys-bits=1"));
  const named = { ...WANTED, snp: true, snpPolicy: 0x1, idBlock: "YQ==", idAuth: "Yg==" };
  const snp = argumentsFor(named, { kind: "snp", cBitPosition: 51 });
  assert.ok(
    after(snp, "-object").includes(
      "sev-snp-guest,id=protection0,cbitpos=51,reduced-phys-bits=1,policy=0x1,kernel-hashes=on," +
        "id-block=YQ==,id-auth=Yg==",
    ),
  );
  for (const args of [tdx, sev, snp]) {
    assert.match(after(args, "-machine")[0] ?? "", /,confidential-guest-support=protection0$/);
    assert.deepEqual(after(args, "-accel"), ["kvm,kernel-irqchip=split"]);
    assert.deepEqual(after(args, "-bios"), ["/ovmf.fd"]);
    assert.ok(!args.some((arg) => arg.includes("virtio-rng")), "it has randomness of its own");
    assert.ok(!after(args, "-append")[0]?.includes("swiotlb"), "its devices see copies only");
  }
});

Deno.test("what a guest is given is a part of its measurement: confidential guests with init data", () => {
  const measured = (length: number, protection: Protection) => {
    const hostData = new Uint8Array(length).fill(0xab);
    const args = argumentsFor({ ...WANTED, snp: protection.kind === "snp", hostData }, protection);
    return after(args, "-object").find((object) => object.includes("protection0")) ?? "";
  };
  const base64 = (length: number, filled: number) => new Uint8Array(length).fill(0xab, 0, filled).toBase64();
  for (const length of [32, 48, 64]) {
    const tdx = JSON.parse(measured(length, { kind: "tdx" }));
    assert.equal(tdx.mrconfigid, base64(48, Math.min(length, 48)));
    const snp = measured(length, { kind: "snp", cBitPosition: 51 });
    assert.ok(snp.endsWith(`,kernel-hashes=on,host-data=${base64(32, 32)}`), snp);
  }
  assert.doesNotMatch(measured(32, { kind: "sev", cBitPosition: 47 }), /host-data/);
});
