/**
 * What the management socket answers: paths, methods and texts that tools of Kata Containers know.
 *
 * @module
 */

import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { HttpError } from "../../rpc/http/message.ts";
import type { HttpAnswer, HttpHandler, HttpRequest, HttpUpgrade } from "../../rpc/http/server.ts";
import { CALL_TIMEOUT_MS } from "../guest/agent_client.ts";
import { reason } from "../log/log.ts";
import { serveConsole } from "./console.ts";
import { CONSOLE_PATH, CONSOLE_PROTOCOL } from "./console_path.ts";
import type { ManagedSandbox, MountedVolume } from "./managed.ts";
import { SandboxMetrics } from "./metrics.ts";

type Route = (request: HttpRequest) => Promise<HttpAnswer | HttpUpgrade>;

const LIMIT = { timeoutMs: CALL_TIMEOUT_MS };

/** Answers for one sandbox. */
export function managementHandler(sandbox: ManagedSandbox): HttpHandler {
  const metrics = new SandboxMetrics(sandbox);
  const routes: Readonly<Record<string, Route>> = {
    "/metrics": async () => ({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: await metrics.text(),
      after: () => void metrics.measureOverhead(),
    }),
    "/agent-url": () => Promise.resolve({ status: 200, body: sandbox.agentUrl }),
    "/direct-volume/stats": (request) => volumeStats(sandbox, request),
    "/direct-volume/resize": (request) => resizeVolume(sandbox, request),
    "/iptables": (request) => tables(sandbox, request, false),
    "/ip6tables": (request) => tables(sandbox, request, true),
    "/policy": (request) => setPolicy(sandbox, request),
    // not a part of Kata Containers' API
    [CONSOLE_PATH]: (request) => Promise.resolve(console(sandbox, request)),
    "/agent-log-level": (request) => setLogLevel(sandbox, request),
    ...sandbox.profiling ? profilingRoutes() : {},
  };
  return async (request) => {
    const route = Object.hasOwn(routes, request.path) ? routes[request.path] : undefined;
    if (route === undefined) return { status: 404, body: "404 page not found\n" };
    try {
      return await route(request);
    } catch (error) {
      if (error instanceof HttpError) throw error;
      sandbox.log.write("info", `${request.method} ${request.path} failed: ${reason(error)}`);
      return { status: 500, body: `${reason(error)}\n` };
    }
  };
}

async function volumeStats(sandbox: ManagedSandbox, { query }: HttpRequest): Promise<HttpAnswer> {
  const device = query.get("path");
  if (device === null) return { status: 400, body: "Required parameter path not found\n" };
  const volumeGuestPath = volumeOn(sandbox, device).guestPath;
  const { usage, volumeCondition } = await sandbox.client.agent.getVolumeStats({ volumeGuestPath }, LIMIT);
  const answer = {
    usage: usage.map(({ available, total, used, unit }) =>
      withoutZeros({
        available: Number(available),
        total: Number(total),
        used: Number(used),
        unit,
      })
    ),
    volume_condition: withoutZeros({
      abnormal: volumeCondition?.abnormal ?? false,
      message: volumeCondition?.message ?? "",
    }),
  };
  return { status: 200, type: "application/json", body: JSON.stringify(answer) };
}

/** Members with nothing in them are left out, as in the JSON of the reference. */
function withoutZeros(value: Readonly<Record<string, number | boolean | string>>) {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => Boolean(member)));
}

async function resizeVolume(sandbox: ManagedSandbox, { body }: HttpRequest): Promise<HttpAnswer> {
  const { device, size } = parseResize(new TextDecoder().decode(body));
  const volume = volumeOn(sandbox, device);
  await volume.resizeDevice?.(size);
  const request = { volumeGuestPath: volume.guestPath, size: BigInt(size) };
  await sandbox.client.agent.resizeVolume(request, LIMIT);
  return { status: 200 };
}

function parseResize(text: string): { device: string; size: number } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HttpError(400, `the request is not JSON: ${reason(error)}`);
  }
  const { VolumePath: device, Size: size } = (value ?? {}) as Record<string, unknown>;
  if (typeof device !== "string" || device === "") {
    throw new HttpError(400, `"VolumePath" must be the path of a device: it is ${JSON.stringify(device)}`);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size <= 0) {
    throw new HttpError(400, `"Size" must be a number of bytes: it is ${JSON.stringify(size)}`);
  }
  return { device, size };
}

function volumeOn({ id, volumes }: ManagedSandbox, device: string): MountedVolume {
  const volume = volumes.get(device);
  if (volume === undefined) throw new Error(`mount ${device} not found in sandbox ${id}`);
  return volume;
}

async function tables(
  { client }: ManagedSandbox,
  { method, body }: HttpRequest,
  isIpv6: boolean,
): Promise<HttpAnswer> {
  switch (method) {
    case "GET":
      return { status: 200, body: (await client.agent.getIPTables({ isIpv6 }, LIMIT)).data };
    case "PUT":
      await client.agent.setIPTables({ isIpv6, data: body }, LIMIT);
      return { status: 200 };
    default:
      return notImplemented(method, "GET and PUT");
  }
}

async function setPolicy({ client }: ManagedSandbox, { method, body }: HttpRequest): Promise<HttpAnswer> {
  if (method !== "PUT") return notImplemented(method, "PUT");
  await client.agent.setPolicy({ policy: new TextDecoder().decode(body) }, LIMIT);
  return { status: 200 };
}

function console(sandbox: ManagedSandbox, { headers }: HttpRequest): HttpAnswer | HttpUpgrade {
  if (headers.get("upgrade") !== CONSOLE_PROTOCOL) {
    return { status: 426, body: `ask to change to the protocol "${CONSOLE_PROTOCOL}"\n` };
  }
  return { upgrade: CONSOLE_PROTOCOL, run: (stream) => serveConsole(sandbox, stream) };
}

async function setLogLevel({ client }: ManagedSandbox, { method, body }: HttpRequest): Promise<HttpAnswer> {
  if (method !== "PUT") return notImplemented(method, "PUT");
  const level = new TextDecoder().decode(body).trim();
  await client.service(GuestConsole).setLogLevel({ level }, LIMIT);
  return { status: 200 };
}

function notImplemented(method: string, known: string): HttpAnswer {
  return { status: 501, body: `method ${method} is not known here: use ${known}\n` };
}

/** What this engine has of Go's profiles. */
function profilingRoutes(): Record<string, Route> {
  const commandLine = () => Deno.readTextFileSync("/proc/self/cmdline").replace(/\0$/, "");
  return {
    "/debug/vars": () => {
      const variables = { cmdline: commandLine().split("\0"), memstats: Deno.memoryUsage() };
      return Promise.resolve({
        status: 200,
        type: "application/json; charset=utf-8",
        body: `${JSON.stringify(variables)}\n`,
      });
    },
    "/debug/pprof/cmdline": () => Promise.resolve({ status: 200, body: commandLine() }),
  };
}
