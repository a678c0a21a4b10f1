/**
 * Whether KVM can create virtual machines, and what runs them otherwise.
 *
 * @module
 */

import { isErrno } from "../../../sys/errors.ts";
import { type Kvm, KVM_API_VERSION } from "../../../sys/kvm.ts";
import { chooseAccelerator } from "../../../vm/qemu/accelerator.ts";
import { type Finding, firstProcessor } from "./capability.ts";
import type { CheckHost } from "./host.ts";
import { fixAccess } from "./fix.ts";
import { EXTENSIONS } from "./table.ts";

/** How to judge what KVM cannot do. */
export interface KvmJudgement {
  /** whether virtual machines must run in hardware */
  readonly strict: boolean;
}

const DEVICE = "/dev/kvm";
const FULL = { "check-type": "full" } as const;

/** What was found about KVM; `error` is there when the whole check fails because of it. */
export interface KvmReport {
  readonly findings: readonly Finding[];
  readonly error?: string;
  /** what KVM says of itself; undefined: it cannot be opened */
  readonly kvm?: Kvm;
}

/** Opens the device, asks for its version and capabilities, and makes a virtual machine. */
export function checkKvm(host: CheckHost, { strict }: KvmJudgement): KvmReport {
  const level = strict ? "error" : "warning";
  let kvm: Kvm;
  try {
    kvm = host.openKvm(EXTENSIONS[host.arch].map(({ id }) => id));
  } catch (error) {
    if (!isErrno(error)) throw error;
    const fields = { ...FULL, device: DEVICE, fix: fixAccess(error.code) };
    const message = `cannot open kvm device: ${error.code}`;
    return { findings: [{ level, message, fields }], ...(strict && { error: message }) };
  }
  const findings: Finding[] = [
    { level: "info", message: "device available", fields: { ...FULL, device: DEVICE } },
  ];
  let failure: string | undefined;
  const fail = (message: string, fields: Finding["fields"]) => {
    findings.push({ level, message, fields });
    if (strict) failure ??= message;
  };
  if (kvm.apiVersion !== KVM_API_VERSION) {
    fail(`kvm API version must be ${KVM_API_VERSION}: it is ${kvm.apiVersion}`, { ...FULL, device: DEVICE });
  }
  if (kvm.canCreateVm) {
    findings.push({ level: "info", message: "feature available", fields: { ...FULL, feature: "create-vm" } });
  } else {
    const code = kvm.createError?.code ?? "no reason given";
    const busy = code === "EBUSY" ? { reason: "another hypervisor running" } : { reason: code };
    fail(`cannot create VM: ${code}`, { ...FULL, feature: "create-vm", ...busy });
  }
  for (const { id, name, description, answer } of EXTENSIONS[host.arch]) {
    const value = kvm.capabilities?.get(id) ?? 0;
    const fields = { type: "kvm extension", name, description, id };
    if (value === 0) {
      fail("kvm extension is not supported", fields);
    } else if (answer !== undefined) {
      findings.push({ level: "info", message: "kvm extension is supported", fields });
      findings.push({ level: "info", message: answer(value), fields: {} });
    } else {
      findings.push({ level: "debug", message: "kvm extension is supported", fields });
    }
  }
  return { findings, kvm, ...(failure !== undefined && { error: failure }) };
}

/** What will run virtual machines here: hardware, or software and why. @param kvm what is known of KVM */
export function acceleratorFinding(host: CheckHost, kvm?: Kvm): Finding {
  const flags = () =>
    /^flags\s*:(.*)$/m.exec(firstProcessor(host.read("/proc/cpuinfo") ?? ""))?.[1]?.trim().split(/\s+/);
  let refusal: string | undefined;
  const openKvm = () => {
    try {
      return kvm ?? host.openKvm();
    } catch (error) {
      if (isErrno(error)) refusal = error.code;
      throw error;
    }
  };
  const choice = chooseAccelerator("auto", { openKvm, cpuFlags: flags });
  if (choice.because === undefined) {
    return { level: "info", message: "virtual machines run on KVM", fields: { accelerator: "kvm" } };
  }
  return {
    level: "warning",
    message: "virtual machines run in software (TCG), which works everywhere and is slower",
    fields: {
      accelerator: "tcg",
      because: choice.because,
      ...(refusal !== undefined && { fix: fixAccess(refusal) }),
    },
  };
}
