import type { HookKind } from "../oci/hooks.ts";
import type { Hook, Hooks, Spec } from "../oci/spec.ts";
import type { Logger } from "./log.ts";

/** Folders of a guest's own hooks, and with it the kinds. */
const KINDS: readonly HookKind[] = ["prestart", "poststart", "poststop"];

/**
 * The hooks that a guest has for all its containers: every executable file in the folder of a kind, in the order of
 * their names. A folder that is missing or cannot be read is logged, and is no failure.
 *
 * @param path folder in the guest; empty = none
 */
export function scanGuestHooks(path: string, log: Logger): Hooks {
  if (path === "") return {};
  const hooks: Hooks = {};
  for (const kind of KINDS) {
    try {
      const found = hooksIn(`${path}/${kind}`, kind);
      if (found.length > 0) hooks[kind] = found;
    } catch (error) {
      log.info("no guest hooks of a kind", { kind, error: String(error) });
    }
  }
  log.info("guest hooks", Object.fromEntries(KINDS.map((kind) => [kind, hooks[kind]?.length ?? 0])));
  return hooks;
}

function hooksIn(folder: string, kind: HookKind): Hook[] {
  const names = [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) => name).sort();
  return names.map((name) => ({ path: `${folder}/${name}`, args: [name, kind] })).filter(({ path }) =>
    ((Deno.statSync(path).mode ?? 0) & 0o111) !== 0
  );
}

/** The specification with the guest's hooks after its own. */
export function withGuestHooks(spec: Spec, guest: Hooks): Spec {
  const hooks: Hooks = { ...spec.hooks };
  for (const kind of KINDS) {
    if (guest[kind]) hooks[kind] = [...hooks[kind] ?? [], ...guest[kind]];
  }
  return { ...spec, hooks };
}
