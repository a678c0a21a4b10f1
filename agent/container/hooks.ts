/** Where and when the hooks of a container run. Loaded when it has some. */

import type { HookKind } from "../../oci/hooks.ts";
import {
  type HookStarter,
  type HookState,
  runHooks,
  runHooksAnyway,
  startHere,
} from "../../oci/run_hooks.ts";
import type { Process, Spec } from "../../oci/spec.ts";
import { launch, type LaunchOptions } from "../../sys/launch.ts";
import type { ChildProcess } from "../../sys/process.ts";
import type { Logger } from "../log.ts";
import { readText } from "./cgroup/files.ts";
import { processFacts, withRoot } from "./facts.ts";
import { homeInside } from "./lookup.ts";
import type { ProcessPlan } from "./plan/container.ts";
import { planExec, planHook } from "./plan/exec.ts";
import type { NamespaceChoices } from "./plan/input.ts";
import type { SeccompFilter } from "./plan/seccomp.ts";

/** The container whose state hooks get. */
export interface HookedContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
  readonly log: Logger;
}

/** Namespaces and cgroup of new processes. The caller keeps the descriptors. */
export interface HookPlace {
  readonly init: Pick<ChildProcess, "pid" | "pidfd">;
  readonly cgroupFd: number;
  readonly pidNamespaceFd: number;
  /** of system calls, for what runs as the container */
  readonly filter?: SeccompFilter;
  readonly namespaces: NamespaceChoices;
}

/**
 * While the first process waits with everything mounted, and the old root still is the root: first those that run
 * where the agent is, then those that run in the container's namespaces.
 *
 * @throws {HookError}
 */
export async function hooksBeforeRoot(container: HookedContainer, place: HookPlace): Promise<void> {
  const here = startHere({ cwd: container.bundle });
  const inside = startBeside(place, (hook) => planHook(hook, place.init.pidfd, place.namespaces));
  const run = (kind: HookKind, start: HookStarter, pid: number) =>
    runHooks(kind, container.spec.hooks, stateOf(container, "creating", pid), start);
  await run("prestart", here, place.init.pid);
  await run("createRuntime", here, place.init.pid);
  await run("createContainer", inside, pidInside(place.init.pid));
}

/**
 * Before the program, as the process that will become it: a hook's file is the container's, and gets no more
 * privileges than the container has.
 *
 * @throws {HookError}
 */
export async function hooksBeforeProgram(container: HookedContainer, place: HookPlace): Promise<void> {
  const { spec } = container;
  const start = startBeside(
    place,
    ({ path, args = [path], env = spec.process.env }, [stdin, stdout, stderr]) => {
      const { execCPUAffinity: _, ...own } = spec.process;
      const process: Process = { ...own, args, env, terminal: false };
      const io = { kind: "pipes", stdin, stdout, stderr } as const;
      const home = withRoot(`/proc/${place.init.pid}/root`, (root) => homeInside(root, process.user.uid));
      const facts = processFacts(process, io, home);
      const { init, cgroupFd, namespaces, filter } = place;
      return planExec({
        process,
        initPidfd: init.pidfd,
        cgroupFd,
        namespaces,
        shared: spec.linux ?? {},
        file: path,
        facts,
        ...(filter && { filter }),
      });
    },
  );
  const state = stateOf(container, "created", pidInside(place.init.pid));
  await runHooks("startContainer", spec.hooks, state, start);
}

/** When the program runs. @throws {HookError} */
export async function hooksAfterStart(container: HookedContainer, pid: number): Promise<void> {
  const { bundle, spec } = container;
  await runHooks("poststart", spec.hooks, stateOf(container, "running", pid), startHere({ cwd: bundle }));
}

/** When nothing is left of the container. What fails is logged. */
export async function hooksAfterStop(container: HookedContainer): Promise<void> {
  const { id, bundle, spec, log } = container;
  const report = (error: string) => log.error("a hook failed", { container: id, error });
  await runHooksAnyway(
    "poststop",
    spec.hooks,
    stateOf(container, "stopped"),
    startHere({ cwd: bundle }),
    report,
  );
}

function stateOf(
  { id, bundle, spec }: HookedContainer,
  status: HookState["status"],
  pid?: number,
): HookState {
  const { ociVersion, annotations } = spec;
  return {
    ociVersion,
    id,
    status,
    ...(pid !== undefined && { pid }),
    bundle,
    ...(annotations && { annotations }),
  };
}

/** The id of a process in its own pid namespace. */
function pidInside(pid: number): number {
  const ids = /^NSpid:\s*(.*)$/m.exec(readText(`/proc/${pid}/status`))?.[1] ?? String(pid);
  return Number(ids.split(/\s+/).at(-1));
}

type Streams = readonly [stdin: number, stdout: number, stderr: number];

/** Starts hooks as processes of the container. */
function startBeside(
  { cgroupFd, pidNamespaceFd }: HookPlace,
  plan: (hook: Parameters<HookStarter>[0], streams: Streams) => ProcessPlan,
): HookStarter {
  return async (hook, fds) => {
    const { program, flags, inherit } = plan(hook, [fds.get(0) ?? -1, fds.get(1) ?? -1, fds.get(2) ?? -1]);
    const options: LaunchOptions = { flags, inherit, cgroupFd, pidNamespaceFd, fds };
    await using taken = new AsyncDisposableStack();
    const launched = launch(program, options);
    const child = taken.use(launched.child);
    if (program.checkpoints.size > 0) launched.go();
    await launched.executed();
    taken.move();
    return child;
  };
}
