import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { invalidArgument } from "../errors.ts";
import type { GuestNetwork } from "../network.ts";
import type { Devices } from "../sandbox.ts";

const NETWORK_DRIVER = "virtio_net";

/**
 * The guest's network.
 *
 * @param hotplugTimeoutMs how long a link that is being plugged in may take to appear, in milliseconds
 */
export function networkHandlers(
  devices: Devices,
  hotplugTimeoutMs: number,
): Handlers<typeof AgentService.methods> {
  let opened: Promise<GuestNetwork> | undefined;
  // With the first request, as many pods have no network at all.
  const open = () => {
    devices.need(NETWORK_DRIVER);
    return opened ??= import("../network.ts").then(({ GuestNetwork }) => new GuestNetwork(hotplugTimeoutMs));
  };
  return {
    async updateInterface({ interface: wanted, gone }) {
      if (!wanted) throw invalidArgument(`"interface" is missing`);
      await (await open()).updateInterface(wanted, gone);
      return wanted;
    },
    async updateRoutes({ routes, gone }) {
      if (!routes) throw invalidArgument(`"routes" is missing`);
      return { Routes: await (await open()).updateRoutes(routes.Routes, gone) };
    },
    async listInterfaces() {
      return { Interfaces: await (await open()).listInterfaces() };
    },
    async listRoutes() {
      return { Routes: await (await open()).listRoutes() };
    },
    async addARPNeighbors({ neighbors, gone }) {
      if (!neighbors) throw invalidArgument(`"neighbors" is missing`);
      await (await open()).addNeighbours(neighbors.ARPNeighbors, gone);
      return {};
    },
  };
}
