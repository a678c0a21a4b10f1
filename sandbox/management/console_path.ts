/**
 * How tools ask for a console in the guest.
 *
 * @module
 */

/** Path at which a tool changes to {@linkcode CONSOLE_PROTOCOL}. */
export const CONSOLE_PATH = "/debug-console";

/** The protocol behind it: the agent's service of consoles, over ttrpc. */
export const CONSOLE_PROTOCOL = "kata-console";
