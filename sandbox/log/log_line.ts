/**
 * Lines of a log in logrus' text form: `time="…" level=info msg="…" key=value …`.
 *
 * @module
 */

import type { LogFields, LogLevel } from "./log.ts";

/** One line, with its end. */
export function formatLine(time: Date, level: LogLevel, message: string, fields: LogFields): string {
  const parts = [`time="${time.toISOString()}"`, `level=${level}`, `msg=${quote(message, true)}`];
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${key}=${quote(String(value), false)}`);
  }
  return `${parts.join(" ")}\n`;
}

/** Quoted where logrus quotes: when anything but plain characters is in it. */
function quote(text: string, always: boolean): string {
  return !always && /^[A-Za-z0-9\-._/@^+]+$/.test(text) ? text : escaped(JSON.stringify(text));
}

/** What JSON leaves as it is, and a terminal does not: controls above ASCII, and marks that turn text around. */
const UNSAFE = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The same text with an escape in place of each character that would do something to a terminal. */
function escaped(json: string): string {
  return json.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The bytes of a line, cut to a length; what is cut is marked. */
export function encodeLine(line: string, mostBytes: number): Uint8Array {
  const bytes = new TextEncoder().encode(line);
  if (bytes.length <= mostBytes) return bytes;
  const cut = bytes.slice(0, mostBytes);
  cut.set(new TextEncoder().encode('…"\n'), mostBytes - 5);
  return cut;
}
