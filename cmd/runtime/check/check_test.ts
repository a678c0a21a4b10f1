import assert from "node:assert/strict";
import { ERRNO, SysError } from "../../../sys/errors.ts";
import type { Finding } from "./capability.ts";
import { runCheck } from "./check.ts";
import type { CheckFlags } from "./command.ts";
import { thisHost } from "./host.ts";
import { cpuinfo, type Machine, makeMachine, modules } from "./testing/machine.ts";

const FLAGS: CheckFlags = {
  checkVersionOnly: false,
  includeAllReleases: false,
  noNetworkChecks: true,
  onlyListReleases: false,
  strict: false,
  verbose: true,
};

const QEMU = { "/usr/bin/qemu": "" };
const DEBIAN = { "/etc/os-release": 'NAME="Debian"\nID=debian\n' };
const INTEL_MODULES = modules("kvm", "kvm_intel", "vhost", "vhost_net", "vhost_vsock");

const INTEL: Machine = {
  files: { "/proc/cpuinfo": cpuinfo("GenuineIntel", "fpu vmx lm sse4_1"), ...INTEL_MODULES, ...QEMU },
};
const AMD: Machine = {
  files: {
    "/proc/cpuinfo": cpuinfo("AuthenticAMD", "fpu svm lm sse4_1"),
    ...modules("kvm", "kvm_amd", "vhost", "vhost_net"),
    ...QEMU,
    ...DEBIAN,
  },
};
const ARM: Machine = {
  arch: "arm64",
  files: {
    "/proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n\n",
    ...modules("kvm", "vhost", "vhost_net", "vhost_vsock"),
    ...QEMU,
  },
};

interface Report {
  readonly lines: readonly string[];
  readonly findings: readonly Finding[];
  readonly stdout: string;
  readonly error: string | undefined;
}

/** Checks a machine. Lines are `level: message [name]`. */
async function checked(machine: Machine, flags: Partial<CheckFlags> = {}): Promise<Report> {
  const folder = Deno.makeTempDirSync();
  const findings: Finding[] = [];
  let stdout = "";
  let error: string | undefined;
  try {
    await runCheck({ ...FLAGS, ...flags }, {
      host: makeMachine(folder, machine),
      output: { log: (finding) => findings.push(finding), print: (text) => stdout += text },
      env: () => undefined,
      hypervisor: "/usr/bin/qemu",
    });
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
  const lines = findings.filter(({ level }) => level !== "debug").map(({ level, message, fields }) =>
    `${level}: ${message}${"name" in fields ? ` [${fields.name}]` : ""}`
  );
  return { lines, findings, stdout, error };
}

const CAPABLE = "System is capable of running Kata Containers\n";
const CREATES = "System can currently create Kata Containers\n";
const NOT_CAPABLE = "ERROR: System is not capable of running Kata Containers";

Deno.test("a complete Intel machine passes, strictly, with a line for everything that was looked at", async () => {
  const { lines, stdout, error } = await checked(INTEL, { strict: true });
  assert.equal(error, undefined);
  assert.equal(stdout, CAPABLE + CREATES);
  assert.deepEqual(lines, [
    "info: CPU property found [GenuineIntel]",
    "info: CPU property found [vmx]",
    "info: CPU property found [lm]",
    "info: CPU property found [sse4_1]",
    "info: kernel property found [kvm]",
    "info: kernel property found [kvm_intel]",
    "info: kernel property found [vhost]",
    "info: kernel property found [vhost_net]",
    "info: kernel property found [vhost_vsock]",
    "info: device available",
    "info: feature available",
    "info: virtual machines run on KVM",
  ]);
});

Deno.test("AMD and arm64 have requirements of their own", async () => {
  const amd = await checked(AMD, { strict: true });
  assert.equal(amd.error, undefined, "vhost_vsock is optional");
  assert.ok(amd.lines.includes("info: CPU property found [svm]"));
  assert.ok(amd.lines.includes("info: kernel property found [kvm_amd]"));
  assert.ok(amd.lines.includes("warning: kernel property vhost_vsock not found [vhost_vsock]"));
  const arm = await checked(ARM, { strict: true });
  assert.deepEqual([arm.error, arm.stdout], [undefined, CAPABLE + CREATES]);
  assert.ok(arm.lines.includes("info: kvm extension is supported [KVM_CAP_ARM_VM_IPA_SIZE]"));
  assert.ok(arm.lines.includes("info: IPA limit size: 40 bits."));
  assert.ok(!arm.lines.some((line) => line.includes("CPU property")), "arm64 has no flags to look for");
});

Deno.test("what is missing is an error for --strict, and otherwise a warning, all of it and each with its cure", async () => {
  const bare: Machine = {
    uid: 1000,
    files: { "/proc/cpuinfo": cpuinfo("GenuineIntel", "fpu lm"), ...QEMU, ...DEBIAN },
    kvm: "ENOENT",
  };
  const expected = (level: string) => [
    "info: CPU property found [GenuineIntel]",
    `${level}: CPU property not found [vmx]`,
    "info: CPU property found [lm]",
    `${level}: CPU property not found [sse4_1]`,
    ...["kvm", "kvm_intel", "vhost", "vhost_net"].flatMap((name) => [
      `${level}: Module is not loaded and it can not be inserted. Please consider running with sudo or as root`,
      `${level}: kernel property ${name} not found [${name}]`,
    ]),
    "warning: Module is not loaded and it can not be inserted. Please consider running with sudo or as root",
    "warning: kernel property vhost_vsock not found [vhost_vsock]",
  ];
  const strict = await checked(bare, { strict: true });
  assert.deepEqual(strict.lines, expected("error"));
  assert.deepEqual([strict.error, strict.stdout], [NOT_CAPABLE, ""]);
  const lenient = await checked(bare);
  assert.deepEqual(lenient.lines, [
    ...expected("warning"),
    "warning: virtual machines run in software (TCG), which works everywhere and is slower",
  ]);
  assert.deepEqual([lenient.error, lenient.stdout], [undefined, CAPABLE], "users do not try to make one");
  const fixes = lenient.findings.flatMap(({ fields }) => "fix" in fields ? [String(fields.fix)] : []);
  assert.ok(fixes[0]?.startsWith("switch VT-x on in the firmware"), fixes[0]);
  assert.deepEqual(
    fixes.slice(1),
    ["kvm", "kvm_intel", "vhost", "vhost_net", "vhost_vsock", "kvm"].map((name) => `sudo modprobe ${name}`),
  );
});

Deno.test("as root, modules are loaded; for one that cannot be loaded its package is named", async () => {
  const machine: Machine = {
    ...AMD,
    files: {
      "/proc/cpuinfo": cpuinfo("AuthenticAMD", "svm lm sse4_1"),
      ...QEMU,
      ...DEBIAN,
      "/proc/version": "Linux version 6.1.0-9-amd64 (x)",
    },
    loadable: ["kvm", "kvm_amd", "vhost"],
  };
  const { lines, findings, error } = await checked(machine, { strict: true });
  assert.equal(error, NOT_CAPABLE);
  assert.ok(lines.includes("info: kernel property found [kvm_amd]"));
  assert.ok(lines.includes("warning: modprobe insert module failed"));
  const fixIn = (all: typeof findings) =>
    all.find(({ message }) => message === "kernel property vhost_net not found")?.fields.fix;
  assert.equal(fixIn(findings), "apt-get install linux-image-6.1.0-9-amd64");
  const ownKernel = { ...machine.files, "/proc/version": "Linux version 6.18.4-mine (x)" };
  for (
    const [osRelease, name] of [["ID=debian", "linux-image-amd64"], ["ID=ubuntu", "linux-image-generic"]]
  ) {
    const own = await checked({ ...machine, files: { ...ownKernel, "/etc/os-release": `${osRelease}\n` } });
    assert.equal(
      fixIn(own.findings),
      `kernel 6.18.4-mine has no package in this distribution: apt-get install ${name}, then boot that one`,
    );
  }
});

Deno.test("modules that are built into the kernel are known by their devices", async () => {
  const files = {
    "/proc/cpuinfo": "processor\t: 0\n\n",
    "/dev/kvm": "",
    "/dev/vhost-net": "",
    "/dev/vhost-vsock": "",
    ...QEMU,
  };
  const { lines, error } = await checked({ arch: "arm64", files }, { strict: true });
  assert.equal(error, undefined);
  assert.equal(lines.filter((line) => line.startsWith("info: kernel property found")).length, 4);
});

Deno.test("a KVM that works though the processor shows no virtualization is reported, and software chosen", async () => {
  const machine: Machine = {
    files: { ...INTEL.files, "/proc/cpuinfo": cpuinfo("GenuineIntel", "lm sse4_1 hypervisor") },
  };
  const { findings, lines, error } = await checked(machine);
  assert.equal(error, undefined);
  assert.ok(lines.includes("info: feature available"), "it makes a machine");
  const last = findings.at(-1);
  assert.equal(last?.fields.accelerator, "tcg");
  assert.match(String(last?.fields.because), /works without hardware virtualisation/);
  const flag = findings.find(({ fields }) => fields.name === "vmx");
  assert.match(String(flag?.fields.fix), /nested virtualization on the host .*kvm_intel nested=1/);
});

Deno.test("a device that cannot be used fails the strict, with the call that failed", async () => {
  const table: [Machine["kvm"], string, string?][] = [
    ["ENOENT", "cannot open kvm device: ENOENT"],
    [
      "EACCES",
      "cannot open kvm device: EACCES",
      'sudo usermod --append --groups kvm "$USER", then log in again',
    ],
    [{ apiVersion: 11 }, "kvm API version must be 12: it is 11"],
    [
      { canCreateVm: false, createError: new SysError("KVM_CREATE_VM", ERRNO.EBUSY ?? 0, "/dev/kvm") },
      "cannot create VM: EBUSY",
    ],
    [{ capabilities: new Map() }, "kvm extension is not supported"],
  ];
  for (const [kvm, message, fix] of table) {
    const strict = await checked({ ...INTEL, ...(kvm && { kvm }) }, { strict: true });
    assert.deepEqual([strict.error, strict.stdout], [message, CAPABLE]);
    const finding = strict.findings.find((one) => one.message === message);
    assert.equal(finding?.level, "error");
    if (fix !== undefined) assert.equal(finding.fields.fix, fix);
    const lenient = await checked({ ...INTEL, ...(kvm && { kvm }) });
    assert.deepEqual([lenient.error, lenient.stdout], [undefined, CAPABLE + CREATES], message);
  }
  const busy = await checked({
    ...INTEL,
    kvm: { canCreateVm: false, createError: new SysError("x", ERRNO.EBUSY ?? 0, "") },
  });
  assert.ok(busy.findings.some(({ fields }) => fields.reason === "another hypervisor running"));
});

Deno.test("parameters of modules are compared; inside a virtual machine another value only warns", async () => {
  const withParameter = (value: string, flags = "vmx lm sse4_1"): Machine => ({
    files: {
      ...INTEL.files,
      "/proc/cpuinfo": cpuinfo("GenuineIntel", flags),
      "/sys/module/kvm_intel/parameters/unrestricted_guest": `${value}\n`,
    },
  });
  const right = await checked(withParameter("Y"), { strict: true });
  assert.ok(right.lines.includes("info: Kernel property value correct [kvm_intel]"));
  const wrong = await checked(withParameter("N"), { strict: true });
  assert.equal(wrong.error, NOT_CAPABLE);
  const finding = wrong.findings.find(({ message }) =>
    message === "kernel module parameter has unexpected value"
  );
  assert.deepEqual([finding?.fields.parameter, finding?.fields.value, finding?.fields.expected], [
    "unrestricted_guest",
    "N",
    "Y",
  ]);
  assert.match(String(finding?.fields.fix), /options kvm_intel unrestricted_guest=Y.*modprobe kvm_intel/);
  const nested = await checked(withParameter("N", "vmx lm sse4_1 hypervisor"), { strict: true });
  assert.equal(nested.error, undefined);
});

Deno.test("a machine that nothing can be said of, or without its monitor, is not capable", async () => {
  const table: [Machine["files"], string][] = [
    [{}, "error: Cannot determine CPU details"],
    [{ "/proc/cpuinfo": "processor : 0\n\n" }, "error: Cannot find CPU flags"],
    [{ "/proc/cpuinfo": cpuinfo("GenuineIntel", "vmx sse4_1") }, "error: CPU property not found [lm]"],
    [{ ...INTEL.files, "/usr/bin/qemu/not": "" }, "error: program not found [/usr/bin/qemu]"],
  ];
  for (const [files, line] of table) {
    const isProgram = line.includes("program");
    const { "/usr/bin/qemu": _, "/usr/bin/qemu/not": __, ...others } = files;
    const { lines, error } = await checked({
      files: isProgram ? { ...others, ...DEBIAN } : { ...files, ...QEMU },
    });
    assert.equal(error, NOT_CAPABLE, line);
    assert.ok(lines.includes(line), `${line}: ${lines}`);
  }
  const unknown = { files: { "/proc/cpuinfo": cpuinfo("Unheard", "lm"), ...QEMU } };
  assert.equal((await checked(unknown, { strict: true })).error, NOT_CAPABLE);
  const lenient = await checked(unknown);
  assert.deepEqual([lenient.error, lenient.lines[0]], [undefined, "warning: Unknow CPU Type"]);
});

Deno.test("a user who may not open KVM learns how to get access", async () => {
  const { findings, error } = await checked({ ...INTEL, uid: 1000, kvm: "EACCES" });
  assert.equal(error, undefined);
  const last = findings.at(-1);
  assert.equal(last?.fields.because, "/dev/kvm cannot be opened: EACCES");
  assert.match(String(last.fields.fix), /^sudo usermod --append --groups kvm/);
});

Deno.test("this machine is checked as it is", async () => {
  const findings: Finding[] = [];
  let stdout = "";
  await runCheck(FLAGS, {
    host: { ...thisHost(), uid: 1000 },
    output: { log: (finding) => findings.push(finding), print: (text) => stdout += text },
    env: () => undefined,
    hypervisor: "/bin/sh",
  });
  assert.equal(stdout, CAPABLE);
  assert.ok(["kvm", "tcg"].includes(String(findings.at(-1)?.fields.accelerator)));
});
