/**
 * The OCI specification as the agent API carries it: to and from the messages of `oci.proto`.
 *
 * What those messages have no field for travels in their field `Extra` (`wire_extra.ts`), which other agents
 * skip.
 */

import type { Init } from "../rpc/message.ts";
import type {
  LinuxResources as WireResources,
  Process as WireProcess,
  Spec as WireSpec,
} from "../rpc/gen/oci_pb.ts";
import { checkProcessRules, checkRules } from "./rules.ts";
import { processShape, resourcesShape, specShape } from "./shape.ts";
import type { Process, Resources, Spec } from "./spec.ts";
import { extraOf, withExtra } from "./wire_extra.ts";
import {
  type Codec,
  fromMessage,
  nested,
  nestedList,
  orAny,
  orUnlimited,
  required,
  requiredWide,
  type Row,
  scalar,
  scalars,
  textMap,
  toMessage,
  wide,
} from "./wire_table.ts";

/** `process.user` is required, and a message with nothing but zeros in it may have been left out. */
const user: Codec = {
  to: (value) => toMessage(USER, value as Record<string, unknown>),
  from: (value) => fromMessage(USER, value as Record<string, unknown>),
};
const USER: readonly Row[] = [
  ["uid", "UID", required],
  ["gid", "GID", required],
  ["additionalGids", "AdditionalGids", scalars],
  ["username", "Username", scalar],
];

const CAPABILITIES: readonly Row[] = [
  ["bounding", "Bounding", scalars],
  ["effective", "Effective", scalars],
  ["inheritable", "Inheritable", scalars],
  ["permitted", "Permitted", scalars],
  ["ambient", "Ambient", scalars],
];

const PROCESS: readonly Row[] = [
  ["terminal", "Terminal", scalar],
  ["consoleSize", "ConsoleSize", nested([["height", "Height", required], ["width", "Width", required]])],
  ["user", "User", user],
  ["args", "Args", required],
  ["env", "Env", scalars],
  ["cwd", "Cwd", required],
  ["capabilities", "Capabilities", nested(CAPABILITIES)],
  [
    "rlimits",
    "Rlimits",
    nestedList([["type", "Type", required], ["hard", "Hard", requiredWide], ["soft", "Soft", requiredWide]]),
  ],
  ["noNewPrivileges", "NoNewPrivileges", scalar],
  ["apparmorProfile", "ApparmorProfile", scalar],
  ["oomScoreAdj", "OOMScoreAdj", wide],
  ["selinuxLabel", "SelinuxLabel", scalar],
];

const MOUNT: readonly Row[] = [
  ["destination", "destination", required],
  ["source", "source", scalar],
  ["type", "type", scalar],
  ["options", "options", scalars],
];

const HOOK: readonly Row[] = [
  ["path", "Path", required],
  ["args", "Args", scalars],
  ["env", "Env", scalars],
  ["timeout", "Timeout", wide],
];
const HOOKS: readonly Row[] = [
  ["prestart", "Prestart", nestedList(HOOK)],
  ["createRuntime", "CreateRuntime", nestedList(HOOK)],
  ["createContainer", "CreateContainer", nestedList(HOOK)],
  ["startContainer", "StartContainer", nestedList(HOOK)],
  ["poststart", "Poststart", nestedList(HOOK)],
  ["poststop", "Poststop", nestedList(HOOK)],
];

const MEMORY: readonly Row[] = [
  ["limit", "Limit", wide],
  ["reservation", "Reservation", wide],
  ["swap", "Swap", wide],
  ["kernel", "Kernel", wide],
  ["kernelTCP", "KernelTCP", wide],
  ["swappiness", "Swappiness", wide],
  ["disableOOMKiller", "DisableOOMKiller", scalar],
];

const CPU: readonly Row[] = [
  ["shares", "Shares", wide],
  ["quota", "Quota", wide],
  ["period", "Period", wide],
  ["realtimeRuntime", "RealtimeRuntime", wide],
  ["realtimePeriod", "RealtimePeriod", wide],
  ["cpus", "Cpus", scalar],
  ["mems", "Mems", scalar],
];

const THROTTLES = nestedList([
  ["major", "Major", requiredWide],
  ["minor", "Minor", requiredWide],
  ["rate", "Rate", requiredWide],
]);
const BLOCK_IO: readonly Row[] = [
  ["weight", "Weight", scalar],
  ["leafWeight", "LeafWeight", scalar],
  [
    "weightDevice",
    "WeightDevice",
    nestedList([
      ["major", "Major", requiredWide],
      ["minor", "Minor", requiredWide],
      ["weight", "Weight", scalar],
      ["leafWeight", "LeafWeight", scalar],
    ]),
  ],
  ["throttleReadBpsDevice", "ThrottleReadBpsDevice", THROTTLES],
  ["throttleWriteBpsDevice", "ThrottleWriteBpsDevice", THROTTLES],
  ["throttleReadIOPSDevice", "ThrottleReadIOPSDevice", THROTTLES],
  ["throttleWriteIOPSDevice", "ThrottleWriteIOPSDevice", THROTTLES],
];

const RESOURCES: readonly Row[] = [
  [
    "devices",
    "Devices",
    nestedList([
      ["allow", "Allow", required],
      ["type", "Type", scalar],
      ["major", "Major", orAny],
      ["minor", "Minor", orAny],
      ["access", "Access", scalar],
    ]),
  ],
  ["memory", "Memory", nested(MEMORY)],
  ["cpu", "CPU", nested(CPU)],
  ["pids", "Pids", nested([["limit", "Limit", orUnlimited]])],
  ["blockIO", "BlockIO", nested(BLOCK_IO)],
  [
    "hugepageLimits",
    "HugepageLimits",
    nestedList([["pageSize", "Pagesize", required], ["limit", "Limit", requiredWide]]),
  ],
  [
    "network",
    "Network",
    nested([
      ["classID", "ClassID", scalar],
      [
        "priorities",
        "Priorities",
        nestedList([["name", "Name", required], ["priority", "Priority", required]]),
      ],
    ]),
  ],
];

const ID_MAPPINGS = nestedList([
  ["containerID", "ContainerID", required],
  ["hostID", "HostID", required],
  ["size", "Size", required],
]);

const SECCOMP: readonly Row[] = [
  ["defaultAction", "DefaultAction", required],
  ["architectures", "Architectures", scalars],
  ["flags", "Flags", scalars],
  [
    "syscalls",
    "Syscalls",
    nestedList([
      ["names", "Names", required],
      ["action", "Action", required],
      ["errnoRet", "errnoret", scalar],
      [
        "args",
        "Args",
        nestedList([
          ["index", "Index", requiredWide],
          ["value", "Value", requiredWide],
          ["valueTwo", "ValueTwo", wide],
          ["op", "Op", required],
        ]),
      ],
    ]),
  ],
];

const LINUX: readonly Row[] = [
  ["uidMappings", "UIDMappings", ID_MAPPINGS],
  ["gidMappings", "GIDMappings", ID_MAPPINGS],
  ["sysctl", "Sysctl", textMap],
  ["resources", "Resources", nested(RESOURCES)],
  ["cgroupsPath", "CgroupsPath", scalar],
  ["namespaces", "Namespaces", nestedList([["type", "Type", required], ["path", "Path", scalar]])],
  [
    "devices",
    "Devices",
    nestedList([
      ["path", "Path", required],
      ["type", "Type", required],
      ["major", "Major", requiredWide],
      ["minor", "Minor", requiredWide],
      ["fileMode", "FileMode", scalar],
      ["uid", "UID", scalar],
      ["gid", "GID", scalar],
    ]),
  ],
  ["seccomp", "Seccomp", nested(SECCOMP)],
  ["rootfsPropagation", "RootfsPropagation", scalar],
  ["maskedPaths", "MaskedPaths", scalars],
  ["readonlyPaths", "ReadonlyPaths", scalars],
  ["mountLabel", "MountLabel", scalar],
  ["intelRdt", "IntelRdt", nested([["l3CacheSchema", "L3CacheSchema", scalar]])],
];

const SPEC: readonly Row[] = [
  ["ociVersion", "Version", required],
  ["process", "Process", nested(PROCESS)],
  ["root", "Root", nested([["path", "Path", required], ["readonly", "Readonly", scalar]])],
  ["hostname", "Hostname", scalar],
  ["mounts", "Mounts", nestedList(MOUNT)],
  ["hooks", "Hooks", nested(HOOKS)],
  ["annotations", "Annotations", textMap],
  ["linux", "Linux", nested(LINUX)],
];

type Plain = Record<string, unknown>;

/** The message of a specification. */
export function specToWire(spec: Spec): Init<WireSpec> {
  return withGaps(SPEC, spec) as Init<WireSpec>;
}

/**
 * The specification of a message, validated as if it came from a `config.json`.
 * @throws {SpecError} naming the JSON path
 */
export function specFromWire(message: WireSpec): Spec {
  const version = message.Version || "1.0.0";
  const spec = specShape(whole(SPEC, { ...message, Version: version }), "");
  checkRules(spec);
  return spec;
}

/** The message of a process. */
export function processToWire(process: Process): Init<WireProcess> {
  return withGaps(PROCESS, process) as Init<WireProcess>;
}

/** The process of a message, validated. @throws {SpecError} naming the JSON path */
export function processFromWire(message: WireProcess): Process {
  const process = processShape(whole(PROCESS, message), "process");
  checkProcessRules(process, "process");
  return process;
}

/** The message of resources. */
export function resourcesToWire(resources: Resources): Init<WireResources> {
  return withGaps(RESOURCES, resources) as Init<WireResources>;
}

/** The resources of a message, validated. @throws {SpecError} naming the JSON path */
export function resourcesFromWire(message: WireResources): Resources {
  return resourcesShape(whole(RESOURCES, message), "resources");
}

/** A message, and in its `Extra` what came out different when the message was read back. */
function withGaps(rows: readonly Row[], object: object): Plain {
  const message = toMessage(rows, object as Plain);
  const extra = extraOf(object, fromMessage(rows, message));
  return extra === "" ? message : { ...message, Extra: extra };
}

function whole(rows: readonly Row[], message: object): unknown {
  const { Extra } = message as { Extra?: string };
  return withExtra(fromMessage(rows, message as Plain), Extra ?? "");
}
