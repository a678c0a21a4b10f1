/** One mount, a line of /proc/<pid>/mountinfo. */
export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** "major:minor" of the file system. */
  readonly device: string;
  /** The folder of the file system that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** Propagation: "shared:1", "master:2", "propagate_from:3", "unbindable". */
  readonly propagation: readonly string[];
  readonly fstype: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

/** Spaces, tabs, newlines and backslashes are written as three octal digits. */
function unescape(text: string): string {
  if (!text.includes("\\")) return text;
  // The digits are bytes of UTF-8, but only of characters below 128.
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** Parses one line. @throws {SyntaxError} if it is not one of mountinfo */
export function parseMountinfoLine(line: string): MountInfo {
  const [left = "", right = ""] = line.split(" - ", 2);
  const [id, parent, device, root, mountPoint, options, ...propagation] = left.split(" ");
  const [fstype, source, superOptions] = right.split(" ");
  if (
    mountPoint === undefined || options === undefined || root === undefined || device === undefined ||
    fstype === undefined || source === undefined
  ) {
    throw new SyntaxError(`not a line of mountinfo: "${line}"`);
  }
  return {
    id: Number(id),
    parentId: Number(parent),
    device,
    root: unescape(root),
    mountPoint: unescape(mountPoint),
    options: options.split(","),
    propagation,
    fstype,
    source: unescape(source),
    superOptions: superOptions ? unescape(superOptions).split(",") : [],
  };
}

/** The mounts of a process' mount namespace in the order of mounting, by default one's own. */
export function readMountinfo(path = "/proc/self/mountinfo"): MountInfo[] {
  return Deno.readTextFileSync(path).split("\n").filter((line) => line !== "").map(parseMountinfoLine);
}
