import { Code, RpcError } from "../rpc/errors.ts";

/**
 * Which requests the agent answers: all, until it is given a policy, and then those that it allows.
 *
 * The rule for a request has the name of its message, such as `ExecProcessRequest`; a request without a rule is denied.
 */
export class Policy {
  #rules: ReadonlyMap<string, boolean> | undefined;

  allows(request: string): boolean {
    return this.#rules === undefined || this.#rules.get(request) === true;
  }

  /** @throws {RpcError} `PERMISSION_DENIED` */
  check(request: string): void {
    if (!this.allows(request)) throw new RpcError(Code.PermissionDenied, `${request} is blocked by policy`);
  }

  /**
   * Takes the place of the policy so far, which must allow it.
   *
   * @throws {RpcError} `INVALID_ARGUMENT` for what this agent does not understand; the policy stays as it was then
   */
  async set(text: string): Promise<void> {
    const { parsePolicy } = await import("./policy_text.ts");
    this.#rules = parsePolicy(text);
  }
}
