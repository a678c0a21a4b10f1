import assert from "node:assert/strict";
import { Code } from "../../rpc/errors.ts";
import type { ARPNeighbor, Interface, IPAddress, Route } from "../../rpc/gen/types_pb.ts";
import { loopIdle } from "../../sys/poll.ts";
import { tempDir, TestNamespace } from "../../sys/test_helpers.ts";
import type { Nic } from "../../vm/vmm.ts";
import type { AgentClient } from "../guest/agent_client.ts";
import { testConfig, testSpec } from "../testing/fake_host.ts";
import { SandboxNetwork } from "./network.ts";

/** A network whose guest and machine write down what they are told. */
class Scene implements AsyncDisposable {
  readonly space = new TestNamespace();
  readonly #outside = new TestNamespace();
  readonly log: string[] = [];
  readonly interfaces: Interface[] = [];
  readonly routes: Route[][] = [];
  /** what the guest was told to be gone */
  readonly gone: string[] = [];
  /** ids of devices that were plugged in ("+") and out ("-") */
  readonly plugged: string[] = [];
  refuse: string | undefined;
  #network: SandboxNetwork | undefined;

  async open(
    model: "tcfilter" | "none" = "tcfilter",
    path: string | undefined = this.space.path,
    dans: string = "",
  ) {
    const { runtime, ...config } = testConfig();
    return this.#network = await SandboxNetwork.open({
      id: "s1",
      spec: testSpec({ linux: { namespaces: [{ type: "network", ...(path !== "" && { path }) }] } }),
      config: { ...config, runtime: { ...runtime, internetworking_model: model, dan_conf: dans } },
      queues: 1,
      log: { write: (level, message) => this.log.push(`${level} ${message}`) },
      save: () => Promise.resolve(),
    });
  }

  readonly target = {
    vm: {
      nics: {
        pathOf: () => Promise.reject(new Error("nobody asks for it")),
        add: (nic: Nic) => {
          if (this.refuse !== undefined) return Promise.reject(new Error(this.refuse));
          this.plugged.push(`+${nic.id}`);
          return Promise.resolve("02/01");
        },
        remove: (id: string) => {
          this.plugged.push(`-${id}`);
          return Promise.resolve();
        },
      },
    },
    client: {
      agent: {
        updateInterface: (request: { interface: Interface; gone: IPAddress[] }) => {
          this.interfaces.push(request.interface);
          this.gone.push(...request.gone.map(({ address, mask }) => `${address}/${mask}`));
          return Promise.resolve(request.interface);
        },
        updateRoutes: (request: { routes: { Routes: Route[] }; gone: Route[] }) => {
          this.routes.push(request.routes.Routes);
          this.gone.push(...request.gone.map(({ dest, gateway }) => `${dest} via ${gateway}`));
          return Promise.resolve(request.routes);
        },
        addARPNeighbors: ({ gone }: { gone: ARPNeighbor[] }) => {
          this.gone.push(...gone.map(({ toIPAddress }) => `neighbour ${toIPAddress?.address}`));
          return Promise.resolve({});
        },
      } as unknown as AgentClient["agent"],
    },
  };

  /** Lays a cable out of the pod. */
  async cable(name: string, last: number, address: string): Promise<void> {
    await this.space.ip(
      `link add ${name} address 02:00:00:00:00:0${last} type veth peer name ${name}-out`,
      `link set ${name}-out netns ${this.#outside.path}`,
      `address add ${address} dev ${name}`,
      `link set ${name} up`,
    );
    await this.#outside.ip(`link set ${name}-out up`);
  }

  async links(): Promise<unknown[]> {
    return (await this.space.json("ip link")).map(({ ifname }) => ifname);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#network?.[Symbol.asyncDispose]();
    this.space[Symbol.dispose]();
    this.#outside[Symbol.dispose]();
    await loopIdle();
  }
}

/** Waits until something that is told by nobody has happened. */
async function until(what: () => boolean): Promise<void> {
  for (const start = Date.now(); !what();) {
    assert(Date.now() < start + 20_000, "waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("the guest gets the links at boot, later links, and removals", async () => {
  await using scene = new Scene();
  const { space } = scene;
  await scene.cable("eth0", 1, "10.9.0.2/24");
  await space.ip("link set eth0 mtu 1400", "route add default via 10.9.0.1");
  const network = await scene.open();
  assert.deepEqual(network.nics.map(({ id, mac }) => [id, mac]), [["net0", "02:00:00:00:00:01"]]);
  await network.attach(scene.target);
  const [first] = scene.interfaces;
  assert.deepEqual([first?.name, first?.mtu, first?.devicePath], ["eth0", 1400n, ""]);
  const told = () => scene.routes.at(-1)?.map(({ dest, gateway, device }) => `${dest} ${gateway} ${device}`);
  assert.deepEqual(told(), [" 10.9.0.1 eth0"]);

  await scene.cable("eth1", 2, "10.8.0.2/24");
  await until(() => scene.interfaces.some(({ name }) => name === "eth1"));
  assert.equal(scene.interfaces.find(({ name }) => name === "eth1")?.devicePath, "02/01");
  await space.ip("route add 10.7.0.0/16 via 10.8.0.1", "address add 10.8.0.3/24 dev eth1");
  await until(() =>
    scene.interfaces.at(-1)?.IPAddresses.some(({ address }) => address === "10.8.0.3") === true
  );
  assert.deepEqual(told(), [" 10.9.0.1 eth0", "10.7.0.0/16 10.8.0.1 eth1"]);
  await space.ip("link delete eth1");
  await until(() => scene.plugged.includes("-net1"));
  assert.deepEqual(scene.plugged, ["+net1", "-net1"]);
  await network[Symbol.asyncDispose]();
  assert.deepEqual(await scene.links(), ["lo", "eth0"]);
});

Deno.test("the guest gets removals of addresses, routes and neighbours", async () => {
  await using scene = new Scene();
  const { space } = scene;
  await scene.cable("eth0", 1, "10.9.0.2/24");
  await scene.cable("eth1", 2, "10.8.0.2/24");
  await space.ip(
    "address add 10.9.0.3/24 dev eth0",
    "route add default via 10.9.0.1 metric 10",
    "route add default via 10.8.0.1 metric 20",
    "route add 10.7.0.0/16 via 10.9.0.1",
    "neighbour add 10.9.0.7 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
  );
  const network = await scene.open();
  await network.attach(scene.target);
  const told = () => scene.routes.at(-1)?.map(({ dest, gateway, device }) => `${dest} ${gateway} ${device}`);
  assert.deepEqual([told(), scene.gone], [[" 10.9.0.1 eth0", "10.7.0.0/16 10.9.0.1 eth0"], []]);
  await space.ip("address delete 10.9.0.3/24 dev eth0", "neighbour delete 10.9.0.7 dev eth0");
  await space.ip("route delete 10.7.0.0/16");
  await until(() => scene.gone.length === 3);
  assert.deepEqual(scene.gone.sort(), ["10.7.0.0/16 via 10.9.0.1", "10.9.0.3/24", "neighbour 10.9.0.7"]);
  // once the better way is gone, the other counts: it takes the place of the first
  await space.ip("link delete eth0");
  await until(() => told()?.join() === " 10.8.0.1 eth1");
  assert.equal(scene.gone.length, 3);
  // a link without an address is still one
  await space.ip("address flush dev eth1 scope global");
  await until(() => scene.gone.includes("10.8.0.2/24"));
  await until(() => scene.gone.includes(" via 10.8.0.1"));
  assert.deepEqual(scene.plugged, ["-net0"]);
});

Deno.test("a link that the machine does not take is named in the log, once, and is as it was", async () => {
  await using scene = new Scene();
  const network = await scene.open();
  await network.attach(scene.target);
  scene.refuse = "no place is left";
  await scene.cable("eth0", 1, "10.9.0.2/24");
  const error = 'error cannot plug link "eth0" into the virtual machine: no place is left';
  await until(() => scene.log.includes(error));
  await assert.rejects(network.settle(), { message: error.replace("error ", "") });
  await assert.rejects(network.settle());
  const { length } = scene.log.filter((line) => line === error);
  // each step of the set-up may have been a look of its own
  assert(length < 4, String(length));
  assert.deepEqual(await scene.links(), ["lo", "eth0"]);
  scene.refuse = undefined;
  await scene.space.ip("address add 10.9.0.3/24 dev eth0");
  await until(() => scene.plugged.length > 0);
  assert.deepEqual(scene.plugged, ["+net0"]);
});

Deno.test("a pod whose client makes no namespace has one of its own, which hooks may fill", async () => {
  await using scene = new Scene();
  const network = await scene.open("tcfilter", "");
  assert.notEqual(Deno.readLinkSync(network.path ?? ""), Deno.readLinkSync("/proc/self/ns/net"));
  await network.attach(scene.target);
  const inside = ["--net=" + network.path, "ip"];
  const ip = async (command: string) => {
    const { success } = await new Deno.Command("nsenter", { args: [...inside, ...command.split(" ")] })
      .output();
    assert(success, command);
  };
  await ip("link add eth0 type veth peer name out");
  await ip(`link set out netns ${scene.space.path}`);
  await ip("address add 10.9.0.2/24 dev eth0");
  await network.settle();
  assert.deepEqual(scene.interfaces.map(({ name }) => name), ["eth0"]);
});

Deno.test("a described network replaces the namespace's, and its links come with their devices", async () => {
  await using scene = new Scene();
  const { space } = scene;
  using folder = tempDir();
  const address = "0000:05:10.0";
  const described = (name: string, mac: string, device: object, ip: string) => ({
    name,
    guest_mac: mac,
    device,
    network_info: {
      interface: { ip_addresses: [`${ip}/24`] },
      routes: [{ dest: `${ip}/32`, gateway: "10.1.0.1" }],
    },
  });
  const devices = [
    described("eth5", "02:00:00:00:00:05", { type: "host-tap", tap_name: "tap0" }, "10.1.0.5"),
    described("fast0", "02:00:00:00:00:06", { type: "vfio", pci_device_id: address }, "10.1.0.6"),
  ];
  Deno.writeTextFileSync(`${folder.path}/s1.json`, JSON.stringify({ netns: space.path, devices }));
  await scene.cable("eth0", 1, "10.9.0.2/24");
  await space.ip("tuntap add tap0 mode tap");
  const network = await scene.open("none", space.path, folder.path);
  assert.deepEqual(network.nics.map(({ id, mac }) => [id, mac]), [["net0", "02:00:00:00:00:05"]]);
  await network.attach(scene.target);
  const told = () => scene.interfaces.map(({ name, devicePath }) => `${name} ${devicePath}`);
  const routes = () => scene.routes.at(-1)?.map(({ dest, device }) => `${dest} ${device}`);
  assert.deepEqual([told(), routes()], [["eth5 "], ["10.1.0.5/32 eth5"]]);
  await network.devicesCame(new Map([["0000:3b:00.0", "02/01"]]));
  assert.equal(told().length, 1);
  await network.devicesCame(new Map([[address, "03/00"]]));
  assert.deepEqual(told(), ["eth5 ", "fast0 03/00"]);
  assert.deepEqual(routes(), ["10.1.0.5/32 eth5", "10.1.0.6/32 fast0"]);
  network.deviceWent(address);
  await network.settle();
  await network[Symbol.asyncDispose]();
  assert.deepEqual(await scene.links(), ["lo", "eth0", "tap0"]);
});

Deno.test("a network model that connects nothing is logged; loopback alone is no network", async () => {
  await using scene = new Scene();
  await (await scene.open("none"))[Symbol.asyncDispose]();
  assert.deepEqual(scene.log, []);
  await scene.cable("eth0", 1, "10.9.0.2/24");
  const network = await scene.open("none");
  assert.deepEqual(network.nics, []);
  assert.match(
    scene.log.join(),
    /^warning the guest has no network: links of network namespace ".*" are not connected: "eth0"$/,
  );
});

Deno.test("a namespace that is none, is gone, or is the host's own is refused by name", async () => {
  await using scene = new Scene();
  using folder = tempDir();
  const left = `${folder.path}/left`;
  Deno.writeTextFileSync(left, "");
  const cases: Record<string, string> = {
    "/run/netns/nowhere": "does not exist",
    "/proc/self/ns/net": "is the host's own: a virtual machine cannot share it",
    "/proc/self/ns/ipc": "is not a network namespace, or its namespace has ended",
    [left]: "is not a network namespace, or its namespace has ended",
  };
  for (const [path, why] of Object.entries(cases)) {
    await assert.rejects(scene.open("tcfilter", path), {
      code: Code.InvalidArgument,
      message: `network namespace "${path}" ${why}`,
    });
  }
});
