/**
 * The log of one sandbox: what its owner, its helpers and its guest report, in a file beside its saved state, and with
 * the front end.
 *
 * The file has everything, and a guest can write as much as it likes: so there are two files of a bounded size, of
 * which the older is dropped. The front end's log goes to places that have no such bound: what comes from the guest is
 * let through at a bounded rate.
 *
 * @module
 */

import { closeFd, O, openFd, statFd, writeFd } from "../../sys/fd.ts";
import { type Log, type LogFields, type LogLevel, reason } from "./log.ts";
import { encodeLine, formatLine } from "./log_line.ts";

/** Name of the file in the folder of saved state; the older one has `.1` behind it. */
export const LOG_NAME = "log";
export const OLDER_LOG_NAME = "log.1";

/** Most bytes of one file. The folder is in memory on most hosts. */
const MAX_FILE_BYTES = 256 * 1024;

/** Most bytes of one line. */
const MAX_LINE_BYTES = 4096;

const FILE_MODE = 0o600;

/** How many lines of the guest the front end gets at once, and how many each second. */
const GUEST_BURST = 500;
const GUEST_LINES_PER_SECOND = 50;

/** Levels of the agent's log, and what they are in the file and for the front end: a guest is not to raise alarms. */
const AGENT_LEVELS: Readonly<Record<string, readonly [file: LogLevel, front: LogLevel]>> = {
  trace: ["debug", "debug"],
  debug: ["debug", "debug"],
  info: ["info", "debug"],
  warn: ["warning", "info"],
  error: ["error", "warning"],
  critical: ["error", "warning"],
};

const AGENT_PREFIX = "kata-agent ";

/** Programs that a guest can make write lines, as many as it likes, by misusing its devices. */
const HELPERS: readonly unknown[] = ["vmm", "virtiofsd"];

/** Where the lines of a sandbox go. */
export class SandboxLog implements Log, Disposable {
  readonly #front: Log;
  readonly #file: LogFile;
  readonly #fields: LogFields;
  readonly #now: () => number;
  #tokens = GUEST_BURST;
  #filledAt: number;
  #dropped = 0;

  private constructor(front: Log, file: LogFile, fields: LogFields, now: () => number) {
    this.#front = front;
    this.#file = file;
    this.#fields = fields;
    this.#now = now;
    this.#filledAt = now();
  }

  /**
   * Begins a sandbox's log.
   *
   * @param front gets lines too; it has the fields already
   * @param folder of the saved state
   * @param fields go with every line of the file
   * @param now the time in milliseconds, for tests
   */
  static open(
    front: Log,
    folder: string,
    fields: LogFields,
    now: () => number = () => performance.now(),
  ): SandboxLog {
    return new SandboxLog(front, new LogFile(folder, front), fields, now);
  }

  write(level: LogLevel, message: string, fields: LogFields = {}): void {
    this.#toFile(level, message, fields);
    if (HELPERS.includes(fields.source)) this.#limited(level, message, fields);
    else this.#front.write(level, message, fields);
  }

  /** A line that the guest has written on its console: its kernel's, or its agent's. */
  guestLine(line: string): void {
    const { level, front, message, source } = parseGuestLine(line);
    this.#toFile(level, message, { source });
    this.#limited(front, message, { source });
  }

  /** Lines that come later only go to the front end. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  #toFile(level: LogLevel, message: string, fields: LogFields): void {
    this.#file.append(formatLine(new Date(), level, message, { ...this.#fields, ...fields }));
  }

  /** Tells the front end, as long as there are not too many such lines. */
  #limited(level: LogLevel, message: string, fields: LogFields): void {
    if (!this.#mayPass()) {
      this.#dropped++;
      return;
    }
    if (this.#dropped > 0) {
      const { source } = fields;
      this.#front.write("warning", `${this.#dropped} lines of the guest were left out here`, { source });
      this.#dropped = 0;
    }
    this.#front.write(level, message, fields);
  }

  #mayPass(): boolean {
    const now = this.#now();
    const filled = (now - this.#filledAt) / 1000 * GUEST_LINES_PER_SECOND;
    this.#tokens = Math.min(GUEST_BURST, this.#tokens + filled);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

interface GuestLine {
  readonly level: LogLevel;
  readonly front: LogLevel;
  readonly message: string;
  readonly source: "agent" | "guest";
}

/** The agent's lines begin with its name and a level; a compromised guest can write such lines as well. */
function parseGuestLine(line: string): GuestLine {
  const colon = line.indexOf(": ");
  const name = line.startsWith(AGENT_PREFIX) ? line.slice(AGENT_PREFIX.length, colon) : "";
  const levels = Object.hasOwn(AGENT_LEVELS, name) ? AGENT_LEVELS[name] : undefined;
  if (levels === undefined) return { level: "debug", front: "debug", message: line, source: "guest" };
  const [level, front] = levels;
  return { level, front, message: line.slice(colon + 2), source: "agent" };
}

/** A file of bounded size, and the one before it. */
class LogFile implements Disposable {
  readonly #folder: string;
  readonly #front: Log;
  #fd: number | undefined;
  #size = 0;

  constructor(folder: string, front: Log) {
    this.#folder = folder;
    this.#front = front;
    this.#open();
  }

  /** Never throws: a full disk costs lines, not the sandbox. */
  append(line: string): void {
    if (this.#fd === undefined) return;
    const bytes = encodeLine(line, MAX_LINE_BYTES);
    try {
      if (this.#size + bytes.length > MAX_FILE_BYTES) this.#turn();
      this.#size += writeFd(this.#fd, bytes);
    } catch {
      // there is nowhere to report this
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeFd(this.#fd);
    this.#fd = undefined;
  }

  /** Begins anew; what was written is kept until the next turn. */
  #turn(): void {
    const path = `${this.#folder}/${LOG_NAME}`;
    Deno.renameSync(path, `${this.#folder}/${OLDER_LOG_NAME}`);
    this[Symbol.dispose]();
    this.#open();
  }

  #open(): void {
    const path = `${this.#folder}/${LOG_NAME}`;
    try {
      this.#fd = openFd(path, O.WRONLY | O.CREAT | O.APPEND, FILE_MODE);
      this.#size = statFd(this.#fd).size;
    } catch (error) {
      this.#front.write("warning", `the sandbox has no log of its own: ${reason(error)}`);
    }
  }
}
