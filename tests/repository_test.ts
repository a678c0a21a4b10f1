import assert from "node:assert/strict";
import denoConfig from "../deno.json" with { type: "json" };
import { documentedFields, specFields } from "./oci_fields.ts";
import { ROOT } from "../tools/paths.ts";

const DOCUMENTS = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/architecture.md",
  "docs/cli.md",
  "docs/configuration.md",
  "docs/engines.md",
  "docs/oci.md",
  "docs/overhead.md",
];

const read = (path: string): Promise<string> => Deno.readTextFile(`${ROOT}/${path}`);
const exists = (path: string): Promise<boolean> => Deno.stat(`${ROOT}/${path}`).then(() => true, () => false);

/** A heading as the part of a link behind `#`. */
function anchor(heading: string): string {
  return heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

for (const document of DOCUMENTS) {
  Deno.test(`${document} links to what is there`, async () => {
    const text = await read(document);
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchor(heading));
    const folder = document.replace(/[^/]*$/, "");
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (target.startsWith("#")) assert.ok(anchors.includes(target.slice(1)), target);
      else if (!target.startsWith("https://")) assert.ok(await exists(folder + target), target);
    }
  });
}

Deno.test("README and CONTRIBUTING name only tasks that there are", async () => {
  const tasks = new Set(Object.keys(denoConfig.tasks));
  for (const document of ["README.md", "CONTRIBUTING.md"]) {
    const named = [...(await read(document)).matchAll(/\btask ([a-z][a-z0-9:]*)/g)].map(([, name = ""]) =>
      name
    );
    assert.ok(named.length > 3, document);
    assert.deepEqual(named.filter((name) => !tasks.has(name)), [], document);
  }
});

Deno.test("the programs of all tasks are there", async () => {
  for (const { command } of Object.values(denoConfig.tasks)) {
    for (const [path] of command.matchAll(/\btools\/\S+\.ts\b/g)) assert.ok(await exists(path), path);
  }
});

Deno.test("continuous integration and the container build run the commands of the README", async () => {
  const command = /npx -y deno@\S+ task/g;
  const [wanted = ""] = (await read("README.md")).match(command) ?? [];
  for (const path of ["README.md", "CONTRIBUTING.md", ".ci/run", "Dockerfile.build"]) {
    const found = (await read(path)).match(command) ?? [];
    assert.ok(found.length > 0, path);
    assert.deepEqual([...new Set(found)], [wanted], path);
  }
});

Deno.test("docs/oci.md has every field of the specification, each with its state and a test that is there", async () => {
  const rows = documentedFields(await read("docs/oci.md"));
  assert.deepEqual(
    rows.map(({ field }) => field).toSorted(),
    specFields(await read("oci/spec.ts")).toSorted(),
  );
  for (const { field, state, tests } of rows) {
    assert.match(state, /^(done|refused)\b/, field);
    assert.ok(tests.length > 0, `${field} names no test`);
    for (const { file, name } of tests) {
      const quoted = ['"', "'", "`"].map((quote) => `${quote}${name}${quote}`);
      const text = await read(file);
      assert.ok(quoted.some((title) => text.includes(title)), `${field}: ${file} has no test "${name}"`);
    }
  }
});

Deno.test("the fields of docs/oci.md are those that the shape of a specification checks", async () => {
  const shape = await read("oci/shape.ts");
  const names = new Set(
    specFields(await read("oci/spec.ts")).flatMap((field) => field.replaceAll("[]", "").split(".")),
  );
  names.delete("*");
  assert.deepEqual([...names].filter((name) => !new RegExp(`\\b${name}(:|,)`).test(shape)), []);
});
