import { invalidArgument } from "../errors.ts";
import { optionValue } from "./options.ts";

const FOLDER = "/sys/kernel/mm/hugepages";

/**
 * Sets aside the huge pages that a `hugetlbfs` needs.
 *
 * @param options `pagesize=<bytes or 2M, 1G, …>` and `size=<bytes>`
 * @throws {RpcError} if an option is missing or the guest has no pages of this size
 * @throws {Error} if the kernel could not find that many
 */
export function reserveHugePages(options: readonly string[], folder: string = FOLDER): void {
  const pageSize = bytesOf(options, "pagesize");
  const pages = Math.ceil(bytesOf(options, "size") / pageSize);
  const file = `${folder}/hugepages-${pageSize / 1024}kB/nr_hugepages`;
  let present: number;
  try {
    present = Number(Deno.readTextFileSync(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw invalidArgument(`the guest has no huge pages of ${pageSize} bytes`, { cause: error });
  }
  // Pages that others have set aside stay theirs.
  const wanted = present + pages;
  Deno.writeTextFileSync(file, String(wanted));
  const got = Number(Deno.readTextFileSync(file));
  if (got < wanted) {
    Deno.writeTextFileSync(file, String(present));
    throw new Error(
      `cannot set aside ${pages} huge pages of ${pageSize} bytes: the kernel found ${got - present}`,
    );
  }
}

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

function bytesOf(options: readonly string[], name: string): number {
  const text = optionValue(options, name) ?? "";
  const match = /^([0-9]{1,15})([kmg]?)b?$/i.exec(text);
  const bytes = Number(match?.[1]) * (UNITS[match?.[2]?.toLowerCase() ?? ""] ?? NaN);
  if (!(bytes > 0)) throw invalidArgument(`a hugetlbfs needs the option "${name}" in bytes: it is "${text}"`);
  return bytes;
}
