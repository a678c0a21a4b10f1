/** `[runtime]`, `[agent.kata]` and `[factory]`. */

import { choice, flag, integer, list, type Missing, text } from "../key.ts";
import { badBase64Text, badUrl, LARGEST } from "./checks.ts";

const NO_GUEST_TRACES: Missing<unknown> = {
  say: "warn",
  why: "has no effect in the guest: the agent of this version makes no traces",
};

const NO_TEMPLATES: Missing<unknown> = {
  say: "warn",
  why: "machines are not cloned or kept waiting in this version: every sandbox boots its own",
};

/** `[runtime]` */
export const RUNTIME = {
  enable_debug: flag(false),
  internetworking_model: choice(["tcfilter", "macvtap", "none"], {
    aliases: { default: "tcfilter" },
    annotation: {},
  }),
  disable_new_netns: flag(false, { annotation: {} }),
  dan_conf: text("", { path: true }),
  disable_guest_seccomp: flag(false, { annotation: {} }),
  sandbox_cgroup_only: flag(false, { annotation: {} }),
  static_sandbox_resource_mgmt: flag(false),
  enable_vcpus_pinning: flag(false, {
    annotation: { alias: "io.katacontainers.enable_vcpus_pinning" },
  }),
  sandbox_bind_mounts: list([], { path: true }),
  disable_guest_empty_dir: flag(false),
  vfio_mode: choice(["guest-kernel", "vfio"], { annotation: {} }),
  guest_selinux_label: text(""),
  create_container_timeout: integer(60, { unit: "seconds", unset: 0, max: LARGEST, annotation: {} }),
  experimental_force_guest_pull: flag(false, {
    annotation: {},
    missing: { say: "refuse", why: "must be false: this version does not pull images in the guest" },
  }),
  experimental: list([], {
    annotation: { list: " " },
    check: ([name]) =>
      name === undefined
        ? undefined
        : `must be empty: there is no experimental feature ${JSON.stringify(name)}`,
  }),
  enable_tracing: flag(false),
  jaeger_endpoint: text("http://localhost:14268/api/traces", { unset: "", check: badUrl }),
  jaeger_user: text(""),
  jaeger_password: text("", { secret: true }),
  enable_pprof: flag(false, { annotation: {} }),
} as const;

/** `[agent.kata]` */
export const AGENT = {
  enable_debug: flag(false),
  enable_tracing: flag(false, { annotation: {}, missing: NO_GUEST_TRACES }),
  kernel_modules: list([], { annotation: { list: ";" } }),
  debug_console_enabled: flag(false),
  dial_timeout: integer(30, { unit: "seconds", unset: 0 }),
  cdh_api_timeout: integer(0, { unit: "seconds", annotation: {} }),
  container_pipe_size: integer(0, { unit: "bytes", annotation: {}, annotationOnly: true }),
  policy: text("", {
    annotation: {},
    annotationOnly: true,
    check: badBase64Text,
  }),
} as const;

/** `[factory]` */
export const FACTORY = {
  enable_template: flag(false, { missing: NO_TEMPLATES }),
  template_path: text("/run/vc/vm/template", { path: true, unset: "", missing: NO_TEMPLATES }),
  vm_cache_number: integer(0, { missing: NO_TEMPLATES }),
  vm_cache_endpoint: text("/var/run/kata-containers/cache.sock", {
    path: true,
    unset: "",
    missing: NO_TEMPLATES,
  }),
} as const;
