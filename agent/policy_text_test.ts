import assert from "node:assert/strict";
import { parsePolicy } from "./policy_text.ts";

const PACKAGE = "package agent_policy\n";

Deno.test("a policy is rules with an answer, and those that are no defaults count", () => {
  const rules = parsePolicy(`# all but execs
package   agent_policy

import future.keywords.in
import rego.v1
default ExecProcessRequest := false   # nobody
default CreateContainerRequest = true
default PauseContainerRequest := false\r
PauseContainerRequest := true
`);
  assert.deepEqual(Object.fromEntries(rules), {
    ExecProcessRequest: false,
    CreateContainerRequest: true,
    PauseContainerRequest: true,
  });
  assert.equal(parsePolicy(PACKAGE).size, 0);
});

Deno.test("what is no such rule is refused with its line, so that nothing is allowed by mistake", () => {
  const cases: [string, RegExp][] = [
    ["", /^the policy must begin with "package agent_policy": it is empty$/],
    ["# only\n", /it is empty$/],
    [
      "default A := true",
      /^line 1 of the policy must be "package agent_policy" before all else: it is "default A/,
    ],
    ["package other", /^line 1 .*: it is "package other"$/],
    [
      `${PACKAGE}ExecProcessRequest {`,
      /^line 2 of the policy must be a rule such as .*: it is "ExecProcessRequest \{"$/,
    ],
    [`${PACKAGE}ExecProcessRequest if input.x`, /^line 2 /],
    [`${PACKAGE}default A := "true"`, /^line 2 /],
    [`${PACKAGE}default A := true; default B := true`, /^line 2 /],
    [`${PACKAGE}import data.other`, /^line 2 /],
    [
      `${PACKAGE}default A := true\ndefault A := false`,
      /^line 3 of the policy must be the only rule about A of its kind/,
    ],
    [`${PACKAGE}${"x".repeat(5000)}`, /x"$/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parsePolicy(text), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(error.message.length < 300);
      return true;
    });
  }
});
