/**
 * `kata-runtime logs`.
 *
 * @module
 */

import { LOG_NAME, OLDER_LOG_NAME } from "../../../sandbox/log/sandbox_log.ts";
import { askSandbox } from "../../../sandbox/management/client.ts";
import { resolveSandboxId } from "../../../sandbox/state/listing.ts";
import { HOST_PATHS } from "../../../sandbox/state/paths.ts";
import { isErrno } from "../../../sys/errors.ts";
import { isFolder } from "../../../sys/exists.ts";
import { O, openFd, OwnedFd, readAllFd, statFd } from "../../../sys/fd.ts";
import { type Change, IN, Inotify } from "../../../sys/inotify.ts";
import { textOf } from "../answer_text.ts";
import { print } from "../output.ts";
import type { LogsFlags } from "./command.ts";

/** Prints the log of a sandbox. */
export async function logs({ follow, tail, agentLevel }: LogsFlags, typed: string): Promise<void> {
  const id = resolveSandboxId(typed);
  if (agentLevel !== undefined) await setAgentLevel(id, agentLevel);
  const folder = `${HOST_PATHS.state}/${id}`;
  // before the first look, so that nothing comes in between
  using changes = follow ? watch(folder) : undefined;
  using current = open(`${folder}/${LOG_NAME}`);
  if (current === undefined) {
    if (!isFolder(folder)) throw new Error(`there is no sandbox "${id}": "${folder}" does not exist`);
    throw new Error(`sandbox "${id}" has no log: there is no "${folder}/${LOG_NAME}"`);
  }
  const isRead = print(lastLines(older(folder) + read(current), tail));
  if (changes !== undefined && isRead) await followFrom(current, folder, changes);
}

async function setAgentLevel(id: string, level: string): Promise<void> {
  const body = new TextEncoder().encode(level);
  const answer = await askSandbox(id, { method: "PUT", path: "/agent-log-level", body });
  textOf(answer, `the agent of sandbox "${id}" to log at another level`);
}

/** Prints what comes, across changes of the file, until the sandbox is gone, or nobody reads it any more. */
async function followFrom(first: OwnedFd, folder: string, changes: Inotify): Promise<void> {
  let current = first;
  try {
    for (let isOver = false; !isOver;) {
      isOver = (await changes.read()).some((change) => isEnd(change, folder));
      if (!print(read(current))) return;
      const next = open(`${folder}/${LOG_NAME}`);
      // the file is gone for a moment when a new one is begun
      if (next === undefined) continue;
      if (statFd(next.fd).ino === statFd(current.fd).ino) {
        next.close();
        continue;
      }
      if (current !== first) current.close();
      current = next;
      if (!print(read(current))) return;
    }
  } finally {
    if (current !== first) current.close();
  }
}

/** Whether the sandbox is gone: its folder, or the log in it, which is renamed at other times. */
function isEnd({ mask, name }: Change, folder: string): boolean {
  if (mask & IN.Q_OVERFLOW) return !isFolder(folder);
  return (mask & IN.IGNORED) !== 0 || ((mask & IN.DELETE) !== 0 && name === LOG_NAME);
}

function watch(folder: string): Inotify | undefined {
  const changes = new Inotify();
  try {
    changes.add(folder, IN.MODIFY | IN.CREATE | IN.MOVED_TO | IN.DELETE | IN.ONLYDIR);
    return changes;
  } catch (error) {
    changes[Symbol.dispose]();
    // a missing sandbox is reported when its log is opened
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function older(folder: string): string {
  try {
    return Deno.readTextFileSync(`${folder}/${OLDER_LOG_NAME}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** @returns undefined if it is not there */
function open(path: string): OwnedFd | undefined {
  try {
    return new OwnedFd(openFd(path, O.RDONLY));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** What was written since the last read. */
function read(file: OwnedFd): string {
  return new TextDecoder().decode(readAllFd(file.fd));
}

/** @param count undefined: all */
export function lastLines(text: string, count: number | undefined): string {
  if (count === undefined) return text;
  if (count === 0) return "";
  const lines = text.trimEnd().split("\n");
  return text === "" ? "" : `${lines.slice(-count).join("\n")}\n`;
}
