import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { invalidArgument } from "../errors.ts";
import type { GuestNetwork } from "../network.ts";
import type { Devices } from "../sandbox.ts";

/** The guest's network. Its drivers may still be loading when the first request comes. */
export function networkHandlers(
  network: GuestNetwork,
  devices: Devices,
): Handlers<typeof AgentService.methods> {
  return {
    async updateInterface({ interface: wanted }) {
      if (!wanted) throw invalidArgument(`"interface" is missing`);
      await devices.ready();
      await network.updateInterface(wanted);
      return wanted;
    },
    async updateRoutes({ routes }) {
      if (!routes) throw invalidArgument(`"routes" is missing`);
      await devices.ready();
      return { Routes: await network.updateRoutes(routes.Routes) };
    },
    async listInterfaces() {
      await devices.ready();
      return { Interfaces: await network.listInterfaces() };
    },
    async listRoutes() {
      return { Routes: await network.listRoutes() };
    },
    async addARPNeighbors({ neighbors }) {
      if (!neighbors) throw invalidArgument(`"neighbors" is missing`);
      await devices.ready();
      await network.addNeighbours(neighbors.ARPNeighbors);
      return {};
    },
  };
}
