/** Of `[runtime]`, `[agent.kata]` and `[factory]`. */

import type { AGENT, FACTORY, RUNTIME } from "../schema/runtime.ts";
import type { Texts } from "./text.ts";

export const RUNTIME_TEXTS: Texts<typeof RUNTIME> = {
  enable_debug: { doc: "Log more of the runtime itself.", effect: "the shim's log" },
  internetworking_model: {
    doc: "How the pod's network is connected to the machine's. \"default\" means tcfilter.",
    effect: "what is made in the pod's network namespace",
  },
  disable_new_netns: {
    doc: 'Run the monitor in the host\'s network namespace; needs internetworking_model = "none".',
    effect: "the network namespace of the host's processes",
  },
  dan_conf: {
    doc:
      "Folder with descriptions of network devices. A sandbox with a file ID.json in it gets these, and not the " +
      "links of its network namespace.",
    effect: "the network devices of the machine, and their configuration in the guest",
    example: '"/run/kata-containers/dans"',
  },
  disable_guest_seccomp: {
    doc:
      "Do not apply containers' seccomp profiles: the virtual machine already isolates them from the host.",
    effect: "the container's specification in the guest",
    shipped: "true",
  },
  sandbox_cgroup_only: {
    doc:
      "Put the runtime, the virtual machine and all helpers into a cgroup below the pod's, which then has to " +
      "allow for what they need; what cannot be put there is refused. Otherwise only the threads of virtual CPUs " +
      "are there, on hosts with cgroups of version 1, and all else is in `/kata_overhead/<sandbox>`, which nothing " +
      "limits; a host where that cannot be does without.",
    effect: "the cgroup of the processes of a pod on the host, by `linux.cgroupsPath`",
  },
  static_sandbox_resource_mgmt: {
    doc: "Boot with the resources that the pod's annotations announce, and never resize the machine.",
    effect: "`-smp` and `-m`; nothing is plugged in",
  },
  enable_vcpus_pinning: {
    doc: "Bind the threads of virtual CPUs to the pod's CPUs when there are as many.",
    effect: "the CPUs of the threads that run virtual CPUs",
  },
  sandbox_bind_mounts: {
    doc:
      "Files and folders of the host that the guest sees read-only, each by the last part of its path, in " +
      "/run/kata-containers/shared/containers/sandbox-mounts.",
    effect: "bind mounts in the shared folder",
    example: '["/etc/ssl/certs"]',
  },
  disable_guest_empty_dir: {
    doc:
      "Share disk-backed emptyDir volumes of Kubernetes from the host, where the node agent sees what is in them and " +
      'ends pods that exceed "sizeLimit". Else they are folders in the root of the pause container of the pod; ' +
      'with shared_fs = "none" they are always the guest\'s.',
    effect: "how the agent makes such volumes: storages of the driver `local`",
  },
  vfio_mode: {
    doc:
      "How containers see devices of the host: by the drivers of the guest's kernel, or as VFIO devices, for which " +
      "the machine needs enable_iommu = true.",
    effect:
      "whether nodes below /dev/vfio are in the container, and the type of the device that the agent is told",
  },
  guest_selinux_label: {
    doc:
      "SELinux label of containers' processes in the guest; empty = the container's, with a type that guests know. " +
      "Needs disable_guest_selinux = false.",
    effect: "the container's specification in the guest",
    example: '"system_u:system_r:container_t"',
  },
  create_container_timeout: {
    doc: "Time for creating a container in the guest; 0 = the default.",
    effect: "time limit of the call",
  },
  experimental_force_guest_pull: {
    doc: "Pull images inside the guest.",
    effect: "none yet: true is refused",
  },
  experimental: {
    doc: "Experimental features by name. There is none.",
    effect: "none: any name is refused",
  },
  enable_tracing: {
    doc:
      "Send a trace of each sandbox to a collector of Jaeger: what containers are asked of the runtime, what the runtime " +
      "asks of the agent, and how long each took. A collector that cannot be reached is told in the log, and holds up " +
      "nothing but the end of the sandbox, by five seconds.",
    effect: "spans of the service `kata`, by Thrift over HTTP",
  },
  jaeger_endpoint: {
    doc: "The collector's URL for Thrift; empty = the default.",
    effect: "where traces are sent to",
    example: '"http://jaeger.example.org:14268/api/traces"',
  },
  jaeger_user: {
    doc: "User name for the collector; empty = it needs none.",
    effect: "a header `Authorization`",
  },
  jaeger_password: { doc: "Password for the collector.", effect: "a header `Authorization`" },
  enable_pprof: {
    doc: "Serve profiling data of the shim at its management socket.",
    effect: "the paths `/debug/vars` and `/debug/pprof/cmdline`",
  },
};

export const AGENT_TEXTS: Texts<typeof AGENT> = {
  enable_debug: { doc: "Log more of the agent in the guest.", effect: "`agent.log=debug`" },
  enable_tracing: {
    doc: "Let the agent trace its calls. Ours does not; what it was asked for is in the runtime's traces.",
    effect: "`agent.trace=true`",
  },
  kernel_modules: {
    doc:
      "Modules to load in the guest: in each string the name, then parameters, separated by spaces. An annotation " +
      "separates them by semicolons.",
    effect: "the agent's request to make the sandbox",
    example: '["e1000e InterruptThrottleRate=3000,3000,3000 EEE=1"]',
  },
  debug_console_enabled: {
    doc: "Offer a shell in the guest to root on the host.",
    effect: "`agent.debug_console agent.debug_console_vport=1026`",
  },
  dial_timeout: {
    doc: "Time limit for the agent's first answer after the machine was started; 0 = the default.",
    effect: "when the boot times out",
    shipped: "45",
  },
  cdh_api_timeout: {
    doc: "Time limit of the guest's data hub; 0 = the guest's own.",
    effect: "`agent.cdh_api_timeout=`",
  },
  container_pipe_size: {
    doc: "Size of the pipes of containers' output in the guest; 0 = as much as one call carries, 1 MiB.",
    effect: "`agent.container_pipe_size=`",
  },
  policy: {
    doc:
      "Which requests of the host the agent answers: a policy in the language Rego, in base64. The agent in the guest has " +
      'to know it: ours knows rules whose answer does not depend on the request ("default ExecProcessRequest := false"), ' +
      "denies what has no rule, and refuses a policy with any other rule, and so the pod.",
    effect:
      "the agent is given it before all else (SetPolicy), and the guest's configuration goes without it",
  },
};

export const FACTORY_TEXTS: Texts<typeof FACTORY> = {
  enable_template: {
    doc:
      'Clone machines from one that was saved after its boot. Needs an initrd, and shared_fs "virtio-9p" or "none"; ' +
      "not with file_mem_backend, confidential_guest or vm_cache_number.",
    effect: "none yet",
  },
  template_path: {
    doc: "Where the saved machine is kept; empty = the default.",
    effect: "kept for templates",
  },
  vm_cache_number: {
    doc: 'How many booted machines are kept waiting; 0 = none. Needs shared_fs "virtio-9p" or "none".',
    effect: "none yet",
  },
  vm_cache_endpoint: {
    doc: "Socket of the server that keeps them; empty = the default.",
    effect: "kept for waiting machines",
  },
};
