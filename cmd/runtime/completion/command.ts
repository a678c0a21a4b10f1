import { buildCommand, buildRouteMap } from "@stricli/core";
import type { AppContext } from "../app.ts";
import type { Shell } from "./scripts.ts";

function completionCommand(shell: Shell, example: string) {
  return buildCommand<Record<never, never>, [], AppContext>({
    parameters: {},
    docs: {
      brief: `print the completion for ${shell}`,
      fullDescription: `Examples:\n${example.split("\n").map((line) => `  ${line}`).join("\n")}`,
    },
    loader: async () => {
      const { SCRIPTS } = await import("./scripts.ts");
      return function () {
        this.process.stdout.write(SCRIPTS[shell]);
      };
    },
  });
}

/** `kata-runtime completion …` */
export const completionRoutes = buildRouteMap<string, AppContext>({
  routes: {
    bash: completionCommand(
      "bash",
      "source <(kata-runtime completion bash)\n" +
        "kata-runtime completion bash | sudo tee /etc/bash_completion.d/kata-runtime >/dev/null",
    ),
    zsh: completionCommand(
      "zsh",
      "source <(kata-runtime completion zsh)\n" +
        "kata-runtime completion zsh | sudo tee /usr/local/share/zsh/site-functions/_kata-runtime >/dev/null",
    ),
    fish: completionCommand(
      "fish",
      "kata-runtime completion fish | source\n" +
        "kata-runtime completion fish > ~/.config/fish/completions/kata-runtime.fish",
    ),
  },
  docs: { brief: "print a completion script for a shell: commands, options, files and sandboxes" },
});
