/** Names of steps and checkpoints that code outside of the plans looks for. */

/** The container or process is complete, and waits for its start. */
export const CREATED = "created";
/** Everything is mounted, and the old root is still the root: for hooks. Only in plans that have some for it. */
export const MOUNTED = "mounted";
/** What it waits in meanwhile. */
export const AWAIT_HOOKS = "await hooks";
/** What it waits in. */
export const AWAIT_START = "await start";
/** Fails with ENOENT when the program is nowhere, with EACCES when it is there and cannot be run. */
export const FIND_PROGRAM = "find program";
/** Turns into the program. */
export const EXECUTE = "execute program";
