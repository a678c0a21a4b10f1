import type { AgentService } from "../../rpc/gen/agent_pb.ts";
import type { Handlers } from "../../rpc/ttrpc/typed.ts";
import type { Sandbox } from "../sandbox.ts";

/**
 * The life of the sandbox.
 *
 * @param destroyed is called when the sandbox is gone and the answer is about to be sent
 */
export function sandboxHandlers(
  sandbox: Sandbox,
  destroyed: () => void,
): Handlers<typeof AgentService.methods> {
  return {
    createSandbox(request) {
      sandbox.create(request);
      return {};
    },
    async destroySandbox() {
      await sandbox.destroy();
      destroyed();
      return {};
    },
    async getOOMEvent(_request, { signal }) {
      return { containerId: await sandbox.nextOom(signal) };
    },
  };
}
