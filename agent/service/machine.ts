import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import { addEntropy, setTime } from "../../sys/host.ts";
import { swapOn } from "../../sys/swap.ts";
import { copyFile } from "../copy_file.ts";
import type { DeviceFinder } from "../devices/devices.ts";
import { invalidArgument } from "../errors.ts";
import { guestDetails } from "../guest_details.ts";
import { onlineCpus, onlineMemory, probeMemory, welcomeMemory } from "../hotplug.ts";
import { updateEphemeralMounts } from "../storage/ephemeral_update.ts";
import { lookAtShared } from "../storage/forget_shared.ts";

/** The guest itself: its processors, memory, clock, randomness and files. */
export function machineHandlers(
  options: { base: string; init: boolean; deviceFinder(): Promise<DeviceFinder> },
): Handlers<typeof AgentService.methods> {
  return {
    getGuestDetails: (request) => guestDetails(request, options.init),
    async onlineCPUMem({ nbCpus, cpuOnly }) {
      if (nbCpus > 0) await onlineCpus(nbCpus);
      if (!cpuOnly) {
        if (!options.init) welcomeMemory();
        onlineMemory();
      }
      return {};
    },
    memHotplugByProbe({ memHotplugProbeAddr }) {
      probeMemory(memHotplugProbeAddr);
      return {};
    },
    reseedRandomDev({ data }) {
      if (data.length === 0) throw invalidArgument(`missing entropy data: "data" is empty`);
      addEntropy(data);
      return {};
    },
    setGuestDateTime({ Sec, Usec }) {
      if (Sec < 0n || Usec < 0n || Usec >= 1_000_000n) {
        throw invalidArgument(`${Sec} seconds and ${Usec} microseconds are no time since 1970`);
      }
      setTime(Number(Sec), Number(Usec));
      return {};
    },
    async addSwap({ PCIPath }) {
      const slots = PCIPath.map((slot) => slot.toString(16).padStart(2, "0"));
      const finder = await options.deviceFinder();
      swapOn(await finder.disk("blk", slots.join("/")));
      return {};
    },
    addSwapPath({ path }) {
      if (!path.startsWith("/dev/")) {
        throw invalidArgument(`the guest swaps to a disk below /dev only: "path" is "${path}"`);
      }
      swapOn(path);
      return {};
    },
    copyFile(request) {
      copyFile(request, options.base);
      return {};
    },
    removeStaleVirtiofsShareMounts() {
      lookAtShared(options.base);
      return {};
    },
    updateEphemeralMounts({ storages }) {
      updateEphemeralMounts(storages, options.base);
      return {};
    },
  };
}
