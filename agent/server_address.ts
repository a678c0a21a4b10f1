/** Where the agent's API is served. */
export type ServerAddress =
  /** Vsock port; context id 2³²−1 is "any". */
  | { readonly kind: "vsock"; readonly cid: number; readonly port: number }
  /** The virtio-serial port with this name. */
  | { readonly kind: "virtio-serial"; readonly name: string }
  /** A unix socket, for an agent that is not in a virtual machine; a path that begins with `@` is abstract. */
  | { readonly kind: "unix"; readonly path: string };

/**
 * Reads `vsock://<cid>:<port>`, `virtio-serial://<name>` or `unix://<path>`.
 *
 * @param where what the text belongs to, for the message
 * @throws {Error} a sentence with the value
 */
export function parseServerAddress(text: string, where: string): ServerAddress {
  const [scheme, rest = ""] = text.split("://", 2);
  switch (scheme) {
    case "vsock": {
      const [cid, port, ...more] = rest.split(":");
      const address = { kind: "vsock", cid: cid === "-1" ? ANY : number(cid), port: number(port) } as const;
      // Nobody can connect to port "any".
      if (more.length === 0 && address.cid <= ANY && address.port < ANY) return address;
      break;
    }
    case "virtio-serial":
      if (rest !== "" && !rest.includes("/")) return { kind: "virtio-serial", name: rest };
      break;
    case "unix":
      if (rest.length > 1 && (rest.startsWith("/") || rest.startsWith("@"))) {
        return { kind: "unix", path: rest };
      }
      break;
  }
  throw new Error(
    `${where} must be "vsock://<cid>:<port>", "virtio-serial://<name>" or "unix:///<path>": it is "${text}"`,
  );
}

/** "Any" as a context id or a port. */
const ANY = 0xffff_ffff;

/** A number written in decimal digits and nothing else; NaN for any other text. */
function number(text = ""): number {
  return String(Number(text)) === text && !text.startsWith("-") ? Number(text) : NaN;
}

/** The address as the text it came from. */
export function formatServerAddress(address: ServerAddress): string {
  switch (address.kind) {
    case "vsock":
      return `vsock://${address.cid === ANY ? -1 : address.cid}:${address.port}`;
    case "virtio-serial":
      return `virtio-serial://${address.name}`;
    case "unix":
      return `unix://${address.path}`;
  }
}

/** Most that the driver of virtio-serial ports takes with one write, in bytes (port_fops_write in virtio_console.c). */
const SERIAL_WRITE_BYTES = 32 * 1024;

/** Most bytes that the channel takes at once, if there is such a limit. */
export function unitOf(address: ServerAddress): number | undefined {
  return address.kind === "virtio-serial" ? SERIAL_WRITE_BYTES : undefined;
}
