/** For tests: cgroups of a test's own in the hierarchies of this host, and processes to put into them. */

import assert from "node:assert/strict";
import { readMountinfo } from "../../../sys/mountinfo.ts";
import { silentLog } from "../../log/log.ts";
import { removeCgroups } from "../folders.ts";
import { type Hierarchies, hierarchiesOf, type Hierarchy } from "../hierarchies.ts";

/** One for each version that this host has, in its own right or beside the other. */
function versions(pid: number): Hierarchies[] {
  const mounts = readMountinfo();
  const cgroup = Deno.readTextFileSync(`/proc/${pid}/cgroup`);
  const all = (["cgroup", "cgroup2"] as const).map((wanted) =>
    hierarchiesOf(mounts.filter(({ fstype }) => fstype === wanted), cgroup)
  );
  return all.map(({ version, list }) => ({ version, list: list.filter(({ isSupervised }) => !isSupervised) }))
    .filter(({ list }) => list.length > 0);
}

/** Hierarchies whose root is a cgroup of the test's own. */
export interface Own {
  readonly hierarchies: Hierarchies;
  /** where a process or thread is, below the root, in each hierarchy; "" = outside of it */
  placesOf(pid: number, tid?: number): string[];
  /** the root with a controller, or that of version 2 */
  root(controller: string): string;
}

/**
 * Runs with cgroups for each version of cgroups that this host has; they must be empty afterwards.
 *
 * @param pid whose home is asked for
 */
export async function withOwn(use: (own: Own) => Promise<void>, pid = Deno.pid): Promise<void> {
  const found = versions(pid);
  assert.ok(found.length > 0, "this machine has no cgroups");
  for (const { version, list } of found) {
    const name = `kata-test-${crypto.randomUUID().slice(0, 8)}`;
    const own = list.map((each): Hierarchy => ({ ...each, root: `${each.root}/${name}` }));
    for (const { root } of own) Deno.mkdirSync(root);
    for (const { root, controllers } of own) if (controllers.includes("cpuset")) copyCpus(root);
    try {
      await use({ hierarchies: { version, list: own }, placesOf: placesIn(own, name), root: rootIn(own) });
      const left = own.flatMap(({ root }) =>
        [...Deno.readDirSync(root)].filter(({ isDirectory }) => isDirectory).map((entry) =>
          `${root}/${entry.name}`
        )
      );
      assert.deepEqual(left, []);
    } finally {
      for (const { root } of own) await removeCgroups([root], silentLog);
    }
    for (const { root } of own) assert.throws(() => Deno.statSync(root), Deno.errors.NotFound);
  }
}

/** As the kernel wants it, by whoever makes a cgroup of version 1. */
function copyCpus(root: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    Deno.writeTextFileSync(`${root}/${file}`, Deno.readTextFileSync(`${root}/../${file}`));
  }
}

function placesIn(own: readonly Hierarchy[], name: string): Own["placesOf"] {
  return (pid, tid = pid) => {
    const lines = Deno.readTextFileSync(`/proc/${pid}/task/${tid}/cgroup`).split("\n");
    return own.map(({ controllers }) => {
      const line = lines.find((line) => line.split(":")[1] === controllers.join(","));
      return line?.split(`/${name}/`)[1] ?? "";
    });
  };
}

function rootIn(own: readonly Hierarchy[]): Own["root"] {
  return (controller) => {
    const found = own.find(({ controllers }) => controllers.length === 0 || controllers.includes(controller));
    return found?.root ?? "";
  };
}

/** A shell that does what it is told, one line after another, and prints what comes of it. */
export class Shell implements AsyncDisposable {
  readonly #process = new Deno.Command("/bin/sh", {
    args: ["-c", 'while read -r line; do eval "$line"; echo "= $?"; done'],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  readonly #writer = this.#process.stdin.getWriter();
  readonly #reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();

  get pid(): number {
    return this.#process.pid;
  }

  /** @returns what it prints, and the last line's status */
  async run(line: string): Promise<{ text: string; status: number }> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    let all = "";
    while (!/(?:^|\n)= \d+\n$/.test(all)) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`the shell has ended: ${all}`);
      all += value;
    }
    const [, text = "", status] = /^([^]*?)\n?= (\d+)\n$/.exec(all) ?? [];
    return { text, status: Number(status) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#writer.close().catch(() => {});
    await this.#reader.cancel();
  }
}
