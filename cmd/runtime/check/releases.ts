/**
 * The list of releases, and whether one is newer than what is running.
 *
 * @module
 */

import { compareSemver, parseSemver, type Semver } from "./semver.ts";

const CURRENT_URL = "https://api.github.com/repos/kata-containers/kata-containers/releases";
const OLD_URL = "https://api.github.com/repos/kata-containers/runtime/releases";
const DOWNLOADS = /^https:\/\/github\.com\/kata-containers\/(kata-containers|runtime)\/releases\/download/;

/** A server on this machine: what a mirror, or a test, brings along. */
const LOCAL = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(\/|$)/;

/** A list that does not come is not waited for any longer. */
const TIMEOUT_MS = 10_000;

/** One release. */
export interface Release {
  readonly version: string;
  readonly semver: Semver;
  readonly date: string;
  readonly url: string;
}

/**
 * Where the list is.
 *
 * @param version what is running: the first major version has a list of its own
 * @param override what `KATA_RELEASE_URL` says
 * @throws {Error} it says something else than one of the known lists, or a server on this machine
 */
export function releaseUrl(version: string, override: string | undefined): string {
  if (override === undefined || override === "") {
    return parseSemver(version)?.major === 1 ? OLD_URL : CURRENT_URL;
  }
  if (override === CURRENT_URL || override === OLD_URL || LOCAL.test(override)) return override;
  throw new Error(`Release URL "${override}" is not valid`);
}

/** A list of releases, oldest first; `warning` tells why it is empty. */
export interface ReleaseList {
  readonly releases: readonly Release[];
  readonly warning?: string;
}

/**
 * Gets the list.
 *
 * @throws {Error} a sentence: the server cannot be reached in time, or does not answer with a list
 */
export async function fetchReleases(
  url: string,
  options: { readonly preReleases: boolean; readonly timeoutMs?: number },
): Promise<ReleaseList> {
  let status: number;
  let text: string;
  try {
    const signal = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
    const response = await fetch(url, { signal, headers: { accept: "application/json" } });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw new Error(`Get "${url}": ${transportError(error)}`);
  }
  if (status === 403 && text.includes("limit exceeded")) {
    return { releases: [], warning: "the server limits how often it answers: try again later" };
  }
  if (status !== 200) throw new Error(`Get "${url}": status ${status}`);
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    throw new Error(`failed to unpack release details: ${error instanceof Error ? error.message : error}`);
  }
  if (!Array.isArray(list)) throw new Error("failed to unpack release details: not a list");
  const releases = list.flatMap((entry) => readRelease(entry) ?? []);
  return {
    releases: releases.filter(({ semver }) => options.preReleases || semver.pre.length === 0)
      .sort((a, b) => compareSemver(a.semver, b.semver)),
  };
}

function transportError(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "no answer in time";
  const cause = error instanceof Error ? error.cause ?? error : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  // the address is in the sentence already
  return message.replace(/^error sending request for url \([^)]*\): (client error \(\w+\): )?/, "");
}

/** Entries that lack something, or point elsewhere, are left out. */
function readRelease(entry: unknown): Release | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  const { tag_name: version, assets } = entry as { tag_name?: unknown; assets?: unknown };
  const asset: unknown = Array.isArray(assets) ? assets[0] : undefined;
  if (typeof version !== "string" || typeof asset !== "object" || asset === null) return undefined;
  const { browser_download_url: url, name, created_at: date } = asset as Record<string, unknown>;
  const semver = parseSemver(version);
  if (semver === undefined || typeof url !== "string" || !DOWNLOADS.test(url)) return undefined;
  if (typeof name !== "string" || name === "" || typeof date !== "string" || date === "") return undefined;
  return { version, semver, date, url };
}

/** The lines of `--only-list-releases`. */
export function listLines(releases: readonly Release[]): string {
  return releases.map(({ version, date, url }) => `${version};${date};${url}\n`).join("");
}

/** Says in a line whether there is something newer. */
export function compareLine(running: string, releases: readonly Release[]): string {
  const newest = releases.at(-1);
  if (newest === undefined) return "No releases available";
  const current = parseSemver(running);
  if (current === undefined || compareSemver(newest.semver, current) <= 0) {
    return "No newer release available";
  }
  const { version, url, date } = newest;
  return `Newer ${kindOf(current, newest.semver)} release available: ${version} (url: ${url}, date: ${date})`;
}

function kindOf(current: Semver, next: Semver): string {
  const suffix = next.pre.length > 0 ? " pre-release" : "";
  if (next.major !== current.major) return `major${suffix}`;
  if (next.minor !== current.minor) return `minor${suffix}`;
  if (next.patch !== current.patch) return `patch${suffix}`;
  return next.pre.length > 0 ? "pre-release" : "major";
}
