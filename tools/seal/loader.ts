/**
 * The script of a sealed executable: it loads the product's modules from the executable itself.
 *
 * The runtime parses every module that it loads by itself, twice, which for the whole product costs 70 ms
 * and 25 MiB at each start. Modules evaluated as functions are only pre-scanned, and only those that a
 * role asks for.
 *
 * @module
 */

/** Where each module lies in the executable: offset and length in bytes. */
export type ModuleIndex = Record<string, [offset: number, length: number]>;

/** The text of the script. */
export function loaderScript(index: ModuleIndex, entry: string, settings: readonly string[]): string {
  return `(${boot.toString()})(${JSON.stringify(index)},${JSON.stringify(entry)},${
    JSON.stringify(settings)
  });\n`;
}

/**
 * Restores the caller's environment as far as the entry code replaced it, then loads the entry module.
 *
 * Becomes text: it must not refer to anything outside itself.
 *
 * @param settings names of the environment variables that were only for the runtime
 */
export function boot(index: ModuleIndex, entry: string, settings: readonly string[]): void {
  for (const name of settings) Deno.env.delete(name);
  const environment = Deno.readTextFileSync("/proc/self/environ").split("\0");
  const home = environment.find((variable) => variable.startsWith("HOME="));
  if (home !== undefined) Deno.env.set("HOME", home.slice(5));

  const decoder = new TextDecoder();
  const loaded = new Map<string, unknown>();
  const loadFrom = (file: Deno.FsFile, name: string): unknown => {
    const place = index[name];
    if (!place) throw new Error(`no module "${name}" in this executable`);
    if (!loaded.has(name)) {
      const bytes = new Uint8Array(place[1]);
      file.seekSync(place[0], 0);
      for (let at = 0; at < bytes.length;) at += file.readSync(bytes.subarray(at)) ?? bytes.length;
      const evaluate: unknown = (0, eval)(decoder.decode(bytes));
      if (typeof evaluate !== "function") throw new Error(`module "${name}" of this executable is damaged`);
      loaded.set(name, evaluate((needed: string) => loadFrom(file, needed), importModule));
    }
    return loaded.get(name);
  };
  const load = (name: string): unknown => {
    // the link leads to the running file even after that has been replaced or removed
    using file = Deno.openSync("/proc/self/exe");
    return loadFrom(file, name);
  };
  // a promise in any case, and after a failure one that is rejected
  const importModule = async (name: string): Promise<unknown> => await load(name);
  load(entry);
}
