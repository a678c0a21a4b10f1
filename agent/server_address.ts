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
  const match = /^(vsock|virtio-serial|unix):\/\/(.+)$/.exec(text);
  const rest = match?.[2] ?? "";
  switch (match?.[1]) {
    case "vsock": {
      const parts = /^(-1|[0-9]{1,10}):([0-9]{1,10})$/.exec(rest);
      const [cid, port] = [Number(parts?.[1]), Number(parts?.[2])];
      // Two to the 32nd minus one is "any" for both; nobody can connect to a port of that number.
      if (parts && cid < 2 ** 32 && port < 2 ** 32 - 1) {
        return { kind: "vsock", cid: cid === -1 ? 0xffff_ffff : cid, port };
      }
      break;
    }
    case "virtio-serial":
      if (!rest.includes("/")) return { kind: "virtio-serial", name: rest };
      break;
    case "unix":
      if (rest.startsWith("/") || rest.startsWith("@")) return { kind: "unix", path: rest };
      break;
  }
  throw new Error(
    `${where} must be "vsock://<cid>:<port>", "virtio-serial://<name>" or "unix:///<path>": it is "${text}"`,
  );
}

/** The address as the text it came from. */
export function formatServerAddress(address: ServerAddress): string {
  switch (address.kind) {
    case "vsock":
      return `vsock://${address.cid === 0xffff_ffff ? -1 : address.cid}:${address.port}`;
    case "virtio-serial":
      return `virtio-serial://${address.name}`;
    case "unix":
      return `unix://${address.path}`;
  }
}
