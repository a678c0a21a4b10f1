/**
 * Which containers share a sandbox: by the annotations of Kubernetes' container engines.
 *
 * @module
 */

/** What a container is to its pod. */
export type Group =
  /** no pod: a sandbox of its own */
  | { readonly kind: "single_container"; readonly sandboxId: string }
  /** makes the sandbox */
  | { readonly kind: "pod_sandbox"; readonly sandboxId: string }
  /** joins it */
  | { readonly kind: "pod_container"; readonly sandboxId: string };

/** Looked up in this order; the first that is there decides. */
const KIND_KEYS = [
  "io.kubernetes.cri.container-type",
  "io.kubernetes.cri-o.ContainerType",
  "io.kubernetes.docker.type",
];

const SANDBOX_ID_KEYS = [
  "io.kubernetes.cri.sandbox-id",
  "io.kubernetes.cri-o.SandboxID",
  "io.kubernetes.sandbox.id",
];

/**
 * @param annotations of the container's spec
 * @param id the container's
 * @throws {Error} an unknown kind, or a member of a pod that is not named
 */
export function groupOf(annotations: Readonly<Record<string, unknown>>, id: string): Group {
  const kind = firstOf(annotations, KIND_KEYS);
  switch (kind) {
    case undefined:
      return { kind: "single_container", sandboxId: id };
    case "sandbox":
    case "podsandbox":
      return { kind: "pod_sandbox", sandboxId: id };
    case "container": {
      const sandboxId = firstOf(annotations, SANDBOX_ID_KEYS);
      if (sandboxId === undefined || sandboxId === "") {
        throw new Error(`container "${id}" belongs to a pod, but no annotation names its sandbox`);
      }
      return { kind: "pod_container", sandboxId };
    }
  }
  throw new Error(`unknown container type "${kind}"`);
}

function firstOf(
  annotations: Readonly<Record<string, unknown>>,
  keys: readonly string[],
): string | undefined {
  for (const key of keys) {
    const value = annotations[key];
    if (typeof value === "string") return value;
  }
  return undefined;
}

/** The annotations in a bundle's `config.json`; none when there is no such file. */
export function readAnnotations(bundle: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = Deno.readTextFileSync(`${bundle}/config.json`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (error) {
    throw new Error(`config.json is not valid JSON: ${error instanceof Error ? error.message : error}`);
  }
  const annotations = typeof spec === "object" && spec !== null
    ? (spec as { annotations?: unknown }).annotations
    : undefined;
  return typeof annotations === "object" && annotations !== null
    ? annotations as Record<string, unknown>
    : {};
}
