import assert from "node:assert/strict";
import { Code, RpcError } from "../../rpc/errors.ts";
import { AgentService } from "../../rpc/gen/agent_pb.ts";
import { GuestConsole } from "../../rpc/gen/console_pb.ts";
import { type ClientRequest, requestUnix } from "../../rpc/http/client.ts";
import type { HttpAnswer } from "../../rpc/http/server.ts";
import { Durations } from "../../rpc/metrics_text.ts";
import { streamPair } from "../../rpc/stream.ts";
import { TtrpcClient } from "../../rpc/ttrpc/client.ts";
import { type ServiceDefinition, TtrpcServer } from "../../rpc/ttrpc/server.ts";
import { type Handlers, implement, serviceClient } from "../../rpc/ttrpc/typed.ts";
import { connectUnix } from "../../sys/socket.ts";
import { createSandbox } from "../create_sandbox.ts";
import { AgentClient } from "../guest/agent_client.ts";
import { type Log, silentLog } from "../log/log.ts";
import type { Sandbox } from "../sandbox.ts";
import { managementSocketPath } from "../state/paths.ts";
import { FakeHost, testConfig, testSpec } from "../testing/fake_host.ts";
import { serveConsole } from "./console.ts";
import type { ManagedSandbox } from "./managed.ts";
import { prefixedFamilies } from "./metrics.ts";
import { managementHandler } from "./routes.ts";

const decode = (body: string | Uint8Array = "") =>
  typeof body === "string" ? body : new TextDecoder().decode(body);
const encode = (text: string) => new TextEncoder().encode(text);

/** A sandbox with an agent that answers as a test says. */
class Managed implements AsyncDisposable {
  readonly sandbox: ManagedSandbox;
  readonly logged: string[] = [];
  /** sizes that devices of volumes were told to have */
  readonly grown: number[] = [];
  readonly #ask: ReturnType<typeof managementHandler>;
  readonly #served: Promise<void>;

  constructor(
    handlers: Handlers<typeof AgentService.methods>,
    change: Partial<ManagedSandbox> = {},
    more: readonly ServiceDefinition[] = [],
  ) {
    const [host, guest] = streamPair();
    this.#served = new TtrpcServer([implement(AgentService, handlers), ...more]).serve(guest);
    const log: Log = { write: (level, message) => void this.logged.push(`${level}: ${message}`) };
    this.sandbox = {
      id: "s1",
      log,
      client: new AgentClient(host),
      agentUrl: "vsock://3:1024",
      processes: [{ role: "vmm", pid: Deno.pid }],
      taskDurations: new Durations(),
      profiling: false,
      volumes: new Map([["/dev/sdz", {
        guestPath: "/run/kata-containers/volumes/v",
        resizeDevice: (bytes: number) => {
          this.grown.push(bytes);
          return Promise.resolve();
        },
      }]]),
      containerIds: () => ["c1"],
      ...change,
    };
    this.#ask = managementHandler(this.sandbox);
  }

  /** @returns status and text */
  async ask(method: string, target: string, body = ""): Promise<[number, string]> {
    const answer = await this.answer(method, target, body);
    return [answer.status, decode(answer.body)];
  }

  async answer(method: string, target: string, body = ""): Promise<HttpAnswer> {
    const { pathname: path, searchParams: query } = new URL(`http://shim${target}`);
    const answer = await this.#ask({ method, path, query, headers: new Map(), body: encode(body) });
    assert.ok("status" in answer);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.sandbox.client.close();
    await this.#served;
  }
}

Deno.test("paths, methods and statuses are those of the reference", async () => {
  const calls: string[] = [];
  await using managed = new Managed({
    getIPTables: ({ isIpv6 }) => ({ data: encode(isIpv6 ? "six" : "four") }),
    setIPTables: ({ isIpv6, data }) => {
      calls.push(`set ${isIpv6} ${decode(data)}`);
      if (decode(data) === "bad") throw new RpcError(Code.Internal, "iptables-restore: line 1 failed");
      return {};
    },
  });
  assert.deepEqual(await managed.ask("GET", "/agent-url"), [200, "vsock://3:1024"]);
  assert.deepEqual(await managed.ask("GET", "/iptables"), [200, "four"]);
  assert.deepEqual(await managed.ask("GET", "/ip6tables"), [200, "six"]);
  assert.deepEqual(await managed.ask("PUT", "/ip6tables", "rules"), [200, ""]);
  assert.deepEqual(await managed.ask("PUT", "/iptables", "bad"), [500, "iptables-restore: line 1 failed\n"]);
  assert.deepEqual(calls, ["set true rules", "set false bad"]);
  assert.equal((await managed.ask("POST", "/iptables"))[0], 501);
  assert.equal((await managed.ask("GET", "/policy"))[0], 501);
  assert.deepEqual((await managed.ask("PUT", "/policy", "x"))[0], 500);
  for (const path of ["/", "/nothing", "/debug/vars", "/debug/pprof/", "/toString", "/__proto__"]) {
    assert.deepEqual(await managed.ask("GET", path), [404, "404 page not found\n"], path);
  }
});

Deno.test("a volume is found by its device, measured and resized", async () => {
  const calls: string[] = [];
  await using managed = new Managed({
    getVolumeStats: ({ volumeGuestPath }) => {
      calls.push(volumeGuestPath);
      return {
        usage: [{ available: 0n, total: 10n, used: 10n, unit: 1 }, {
          available: 1n,
          total: 3n,
          used: 2n,
          unit: 2,
        }],
        volumeCondition: { abnormal: false, message: "OK" },
      };
    },
    resizeVolume: ({ volumeGuestPath, size }) => {
      calls.push(`${volumeGuestPath} to ${size}`);
      return {};
    },
  });
  const stats = await managed.answer("GET", "/direct-volume/stats?path=%2Fdev%2Fsdz");
  assert.deepEqual([stats.status, stats.type], [200, "application/json"]);
  assert.deepEqual(JSON.parse(decode(stats.body)), {
    usage: [{ total: 10, used: 10, unit: 1 }, { available: 1, total: 3, used: 2, unit: 2 }],
    volume_condition: { message: "OK" },
  });
  const resize = JSON.stringify({ VolumePath: "/dev/sdz", Size: 4096 });
  assert.deepEqual(await managed.ask("POST", "/direct-volume/resize", resize), [200, ""]);
  assert.deepEqual(calls, ["/run/kata-containers/volumes/v", "/run/kata-containers/volumes/v to 4096"]);
  assert.deepEqual(managed.grown, [4096]);

  assert.deepEqual(await managed.ask("GET", "/direct-volume/stats"), [
    400,
    "Required parameter path not found\n",
  ]);
  assert.deepEqual(await managed.ask("GET", "/direct-volume/stats?path=/dev/none"), [
    500,
    "mount /dev/none not found in sandbox s1\n",
  ]);
});

Deno.test("a request to resize that makes no sense is refused with what is wrong", async () => {
  await using managed = new Managed({});
  for (
    const [body, message] of [
      ["{", /the request is not JSON/],
      ["null", /"VolumePath" must be the path/],
      ['{"VolumePath":3,"Size":1}', /"VolumePath" must be the path of a device: it is 3/],
      ['{"VolumePath":"/dev/sdz"}', /"Size" must be a number of bytes: it is undefined/],
      ['{"VolumePath":"/dev/sdz","Size":-1}', /"Size" must be .*: it is -1/],
      ['{"VolumePath":"/dev/sdz","Size":1.5}', /"Size" must be .*: it is 1\.5/],
    ] as const
  ) {
    await assert.rejects(managed.ask("POST", "/direct-volume/resize", body), message);
  }
});

Deno.test("profiling data are served only if enable_pprof is set", async () => {
  await using managed = new Managed({}, { profiling: true });
  const [status, text] = await managed.ask("GET", "/debug/vars");
  const variables = JSON.parse(text);
  assert.equal(status, 200);
  assert.ok(variables.cmdline.length > 0 && variables.memstats.heapUsed > 0);
  assert.match((await managed.ask("GET", "/debug/pprof/cmdline"))[1], /deno/);
  assert.equal((await managed.ask("GET", "/debug/pprof/heap"))[0], 404);
});

Deno.test("metrics are those of the owner, its helpers and the guest", async () => {
  await using managed = new Managed({
    getMetrics: () => ({ metrics: "# HELP kata_guest_x y\n# TYPE kata_guest_x gauge\nkata_guest_x 1" }),
    statsContainer: () => ({ cgroupStats: { cpuStats: { cpuUsage: { totalUsage: 1n } } } }),
  });
  managed.sandbox.taskDurations?.observe("create", 3);
  const answer = await managed.answer("GET", "/metrics");
  const lines = decode(answer.body).split("\n");
  for (
    const begin of [
      "kata_hypervisor_threads ",
      "kata_hypervisor_fds ",
      'kata_hypervisor_proc_status{item="vmrss"} ',
      'kata_hypervisor_proc_stat{item="utime"} ',
      'kata_hypervisor_io_stat{item="readbytes"} ',
      'kata_hypervisor_netdev{interface="lo",item="recv_bytes"} ',
      "kata_shim_threads ",
      'kata_shim_proc_status{item="hugetlbpages"} ',
      'kata_shim_io_stat{item="cancelledwritebytes"} ',
      "kata_shim_pod_overhead_cpu 0",
      "kata_shim_pod_overhead_memory_in_bytes 0",
      'kata_shim_rpc_durations_histogram_milliseconds_bucket{action="create",le="4"} 1',
      "kata_virtiofsd_threads 0",
      "kata_virtiofsd_fds 0",
      "process_cpu_seconds_total ",
      "process_virtual_memory_max_bytes 1.8446744073709552e+19",
      "kata_guest_x 1",
    ]
  ) assert.ok(lines.some((line) => line.startsWith(begin)), begin);
  assert.ok(!lines.some((line) => line.startsWith("kata_virtiofsd_proc")));
  // what the first scrape asked of the agent is in the second
  assert.match(
    decode((await managed.answer("GET", "/metrics")).body),
    /agent_rpc_durations_histogram_milliseconds_count\{action="grpc.GetMetricsRequest"\} 1/,
  );
});

Deno.test("a guest without metrics is asked once; one that fails is asked again", async () => {
  for (const [code, asked] of [[Code.NotFound, 1], [Code.Internal, 2]] as const) {
    let calls = 0;
    await using managed = new Managed({
      getMetrics: () => {
        calls++;
        throw new RpcError(code, "no metrics");
      },
    });
    for (let i = 0; i < 2; i++) {
      const [status, text] = await managed.ask("GET", "/metrics");
      assert.equal(status, 200);
      assert.match(text, /kata_shim_threads/);
    }
    assert.equal(calls, asked);
    assert.equal(managed.logged.filter((line) => /guest's metrics are left out/.test(line)).length, asked);
  }
});

Deno.test("families of an agent that are named like the shim's get another name", () => {
  assert.equal(
    prefixedFamilies("# HELP process_x y\n# TYPE process_x gauge\nprocess_x 1\ngo_x 2\nkata_process_x 3"),
    "# HELP kata_agent_process_x y\n# TYPE kata_agent_process_x gauge\n" +
      "kata_agent_process_x 1\nkata_agent_go_x 2\nkata_process_x 3\n",
  );
  assert.equal(prefixedFamilies(""), "");
});

Deno.test("a guest can neither pass its metrics off as the host's nor spoil those", () => {
  const escape = "\x1b[2J";
  const text = [
    "# TYPE kata_shim_threads gauge",
    "kata_shim_threads 1000",
    "kata_hypervisor_fds 0",
    'kata_virtiofsd_io_stat{item="x"} 5',
    "up 0",
    "# TYPE kata_guest_a gauge",
    "# TYPE kata_guest_a counter",
    "# TYPE kata_guest_b rubbish",
    "# HELP kata_guest_c bad \\x escape",
    `# HELP kata_guest_c ${escape}`,
    `kata_guest_d{item="${escape}"} 1`,
    'kata_guest_e{item="\\"} 1',
    'kata_guest_f{item="a\\"b",other="c"} -1.5e+07',
    "kata_guest_g 1 1700000000000",
    "kata_guest_h one",
    "{} 1",
    "",
  ].join("\n");
  assert.deepEqual(prefixedFamilies(text).split("\n"), [
    "# TYPE kata_agent_kata_shim_threads gauge",
    "kata_agent_kata_shim_threads 1000",
    "kata_agent_kata_hypervisor_fds 0",
    'kata_agent_kata_virtiofsd_io_stat{item="x"} 5',
    "kata_agent_up 0",
    "# TYPE kata_guest_a gauge",
    'kata_guest_f{item="a\\"b",other="c"} -1.5e+07',
    "",
  ]);
});

Deno.test("a tool has consoles in the guest, and those that it leaves open are closed", async () => {
  const calls: string[] = [];
  const closed = Promise.withResolvers<void>();
  const guest: Handlers<typeof GuestConsole.methods> = {
    open: ({ terminal }) => {
      calls.push(`open ${terminal}`);
      return { id: 7, shell: "/bin/sh" };
    },
    read: ({ id }) => ({ data: encode(`from ${id}`) }),
    write: ({ data, end }) => {
      calls.push(`write ${decode(data)} ${end}`);
      return {};
    },
    close: ({ id }) => {
      calls.push(`close ${id}`);
      closed.resolve();
      return {};
    },
    setLogLevel: ({ level }) => {
      calls.push(`level ${level}`);
      return {};
    },
  };
  await using managed = new Managed({}, {}, [implement(GuestConsole, guest)]);
  assert.equal((await managed.ask("GET", "/debug-console"))[0], 426);
  assert.deepEqual(await managed.ask("PUT", "/agent-log-level", "debug\n"), [200, ""]);
  assert.equal((await managed.ask("GET", "/agent-log-level"))[0], 501);

  const [here, there] = streamPair();
  const served = serveConsole(managed.sandbox, there);
  const tool = new TtrpcClient(here);
  const client = serviceClient(GuestConsole, tool);
  const { id, shell } = await client.open({ terminal: true });
  assert.deepEqual([id, shell], [7, "/bin/sh"]);
  await client.write({ id, data: encode("ls"), end: true });
  assert.equal(decode((await client.read({ id })).data), "from 7");
  await assert.rejects(client.resize({ id, rows: 1 }), { code: Code.Unimplemented });
  tool.close();
  await served;
  await closed.promise;
  assert.deepEqual(calls, ["level debug", "open true", "write ls true", "close 7"]);
});

function create(host: FakeHost): Promise<Sandbox> {
  const config = testConfig({});
  return createSandbox({ id: "s1", spec: testSpec(), config, log: silentLog, host, paths: host.paths });
}

Deno.test("a sandbox answers at its socket as long as it is there, and only its user", async () => {
  await using host = new FakeHost();
  const sandbox = await create(host);
  const socket = managementSocketPath(host.paths, "s1");
  assert.equal((Deno.statSync(socket).mode ?? 0) & 0o777, 0o600);
  const request: ClientRequest = { socket, path: "/agent-url", timeoutMs: 60_000 };
  assert.match(decode((await requestUnix(request)).body), /^virtio-serial:\/\//);
  // many at once, while others are silent
  const silent = await Promise.all(Array.from({ length: 5 }, () => connectUnix(socket)));
  const answers = await Promise.all(Array.from({ length: 60 }, () => requestUnix(request)));
  assert.ok(answers.every(({ status }) => status === 200));
  await sandbox[Symbol.asyncDispose]();
  for (const connection of silent) {
    assert.equal(await connection.read(new Uint8Array(10)), 0);
    connection.close();
  }
  await assert.rejects(requestUnix(request), /ENOENT/);
  assert.deepEqual(host.left(), []);
});
