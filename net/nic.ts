/**
 * Network devices of the virtual machine, as far as the pod's network knows them.
 *
 * @module
 */

import type { PodLink } from "./scan.ts";

/** A network device of the virtual machine, and what is behind it on the host. */
export interface Nic {
  readonly id: string;
  readonly mac: string;
  /** entries of each queue; default: the monitor's own */
  readonly queueSize?: number;
  readonly backend:
    | { readonly kind: "tap"; readonly fds: readonly number[]; readonly vhostFds: readonly number[] }
    | { readonly kind: "vhost-user"; readonly socketPath: string; readonly queues?: number }
    | { readonly kind: "host-device"; readonly device: HostDevice };
}

/** A device of the host that is handed through. */
export interface HostDevice {
  readonly address: string;
  readonly iommufd: boolean;
  readonly memory: { readonly prefetchable: number; readonly other: number };
}

/** A link that is joined. */
export interface Endpoint {
  readonly number: number;
  readonly pod: PodLink;
  readonly nic: Nic;
}
