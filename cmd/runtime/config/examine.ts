/**
 * What the commands about the configuration have in common: which one it is.
 *
 * @module
 */

import { examineConfig, type Examined } from "../../../config/load.ts";
import type { Globals } from "../globals.ts";
import type { ConfigFlags } from "./command.ts";

/**
 * Reads the configuration that is meant, with all its mistakes.
 *
 * @throws {ConfigError} there is none
 * @throws {Error} an annotation is not written as one
 */
export function examine(flags: ConfigFlags, globals: Globals, file: string | undefined): Promise<Examined> {
  return examineConfig({
    explicit: file ?? globals.config,
    annotations: Object.fromEntries((flags.annotation ?? []).map(readAnnotation)),
  });
}

function readAnnotation(text: string): [name: string, value: string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new Error(`--annotation must be NAME=VALUE: it is "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}
