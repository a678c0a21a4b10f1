/**
 * What a plan is made from: the specification, and the few things about the machine that it depends on.
 * Nothing else is looked at while planning, so the same input always gives the same program.
 */

import type { IdMapping, Process, Spec } from "../../../oci/spec.ts";
import type { SharedAttributes } from "./attributes.ts";
import type { SeccompFilter } from "./seccomp.ts";

/** A namespace of the child: of its own, the agent's, or the one behind a descriptor of the agent. */
export type NamespaceChoice = "new" | "inherit" | { readonly fd: number };

/** A user namespace, and what its ids are in the agent's. */
export interface UserChoice {
  readonly fd: number;
  readonly uids: readonly IdMapping[];
  readonly gids: readonly IdMapping[];
}

/** The child's namespaces. The mount namespace is always new. */
export interface NamespaceChoices {
  readonly pid: NamespaceChoice;
  readonly ipc: NamespaceChoice;
  readonly uts: NamespaceChoice;
  readonly network: NamespaceChoice;
  readonly cgroup: NamespaceChoice;
  readonly time: NamespaceChoice;
  readonly user: "inherit" | UserChoice;
}

/** Facts about a mount of the specification, by its index. */
export interface MountFacts {
  /** The destination; where it does not exist, with the links on the way to it resolved inside the rootfs. */
  readonly path: string;
  /** Permission bits of the folder that is there; undefined if nothing is. */
  readonly mode: number | undefined;
  /** Whether the source of a bind is a folder. */
  readonly folder: boolean;
  /** A user namespace that says which ids the files of the mount have; undefined: their own. */
  readonly idmap?: { readonly fd: number };
  /** A file system that is filled with what the mount point has in it, and then mounted there. */
  readonly fresh?: { readonly fd: number };
}

/** What the standard streams are. */
export interface StreamFacts {
  readonly terminal: boolean;
  /** Terminal only: its path in the agent's devpts. */
  readonly slavePath?: string;
  /** Which of 0, 1, 2 may be given to the process's user: all that are not a device that others use, too. */
  readonly ownable: readonly number[];
}

/** What a process's plan depends on besides its specification. */
export interface ProcessFacts {
  /** Capabilities that the agent can hand on, as a mask. */
  readonly capabilities: bigint;
  /** Capabilities that the kernel knows, as a mask. */
  readonly knownCapabilities: bigint;
  /** The agent's own OOM score adjustment, which children inherit. */
  readonly oomScoreAdj: number;
  /** Home folder of the user according to the container's `/etc/passwd`. */
  readonly home: string | undefined;
  readonly streams: StreamFacts;
  /** The agent's hard limits by name; needed with a user namespace, inside of which none can be raised. */
  readonly hardLimits?: Readonly<Record<string, bigint>>;
}

/** What a container's plan is made from. */
export interface ContainerInput {
  readonly spec: Spec;
  /** absolute */
  readonly rootfs: string;
  /** relative sources of binds are relative to it */
  readonly bundle: string;
  readonly namespaces: NamespaceChoices;
  readonly mounts: readonly MountFacts[];
  readonly facts: ProcessFacts;
  /** What `linux.seccomp` comes to. */
  readonly filter?: SeccompFilter;
}

/** What the plan of a process in an existing container is made from. */
export interface ExecInput {
  readonly process: Process;
  /** Descriptor of the container's first process; its namespaces are joined, all but the pid namespace. */
  readonly initPidfd: number;
  /** What to execute; default: what the first argument says. */
  readonly file?: string;
  /** Descriptor of the folder of its cgroup. */
  readonly cgroupFd: number;
  /** What of the container's specification holds for all its processes. */
  readonly shared: SharedAttributes;
  /** Those of the container; descriptors in it are not used. */
  readonly namespaces: NamespaceChoices;
  readonly facts: ProcessFacts;
  /** The container's, which holds for all its processes. */
  readonly filter?: SeccompFilter;
}
