import type {
  CreateContainerRequest,
  CreateSandboxRequest,
  ExecProcessRequest,
} from "../rpc/gen/agent_pb.ts";
import { invalidArgument, unimplemented } from "./errors.ts";

/** Longest name of a file, and so of a container: it has a folder and a control group of its name. */
const MAX_ID_LENGTH = 255;

/**
 * A container's id is a name of at least two letters, digits, `.`, `_`, `-`, the first of them a letter or digit.
 *
 * @throws {RpcError} `InvalidArgument`
 */
export function checkContainerId(id: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]+$/.test(id) && id.length <= MAX_ID_LENGTH) return id;
  throw invalidArgument(
    `a container id must be 2 to ${MAX_ID_LENGTH} letters, digits, ".", "_" or "-" ` +
      `and begin with a letter or digit: it is ${JSON.stringify(id.slice(0, MAX_ID_LENGTH + 1))}`,
  );
}

/** Says which part of a request this agent does not do, before anything is made. */
export function refuseUnsupported(request: CreateContainerRequest): void {
  refusePorts(request);
  const [mount] = request.sharedMounts;
  if (mount) {
    throw unimplemented(`shared mount "${mount.name}" is not supported: "shared_mounts" must be empty`);
  }
}

/** As {@link refuseUnsupported}, for a sandbox. */
export function refuseUnsupportedSandbox(request: CreateSandboxRequest): void {
  if (request.guestHookPath !== "" && !request.guestHookPath.startsWith("/")) {
    throw invalidArgument(
      `"guest_hook_path" must be an absolute path in the guest: it is ${
        JSON.stringify(request.guestHookPath)
      }`,
    );
  }
  if (request.kernelModules.some((module) => !/^[A-Za-z0-9_-]+$/.test(module.name))) {
    throw invalidArgument('a kernel module needs a name of letters, digits, "_" and "-"');
  }
}

/** Standard streams over connections of their own are not done. */
export function refusePorts(request: CreateContainerRequest | ExecProcessRequest): void {
  for (
    const [name, port] of Object.entries({
      stdin_port: request.stdinPort,
      stdout_port: request.stdoutPort,
      stderr_port: request.stderrPort,
    })
  ) {
    if (port !== 0) {
      throw unimplemented(`streams over their own connections are not supported: "${name}" is ${port}`);
    }
  }
}

/** The number of a signal. @throws {RpcError} `InvalidArgument` */
export function checkSignal(number: number): number {
  if (number <= 64) return number;
  throw invalidArgument(`a signal must be a number from 0 to 64: it is ${number}`);
}
