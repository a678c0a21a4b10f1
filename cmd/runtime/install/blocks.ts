/**
 * A block of lines that we append to another program's file, enclosed in marker lines.
 *
 * @module
 */

const BEGIN = "# >>> kata-runtime install: removed again by kata-runtime uninstall";
const END = "# <<< kata-runtime install";

/** The text with a block at its end; every byte of it stays. */
export function addBlock(text: string, lines: string): string {
  return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${BEGIN}\n${lines.trimEnd()}\n${END}\n`;
}

/** The text without the block, and the block's lines; undefined: there is none. */
export function takeBlock(text: string): { readonly rest: string; readonly lines: string } | undefined {
  const begin = text.indexOf(`${BEGIN}\n`);
  const end = text.indexOf(`${END}\n`, begin);
  if (begin < 0 || end < 0) return undefined;
  return {
    rest: text.slice(0, begin) + text.slice(end + END.length + 1),
    lines: text.slice(begin + BEGIN.length + 1, end),
  };
}
