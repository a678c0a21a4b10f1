/** Patterns of paths, as in glob(7): `*`, `?` and `[...]`, none of which matches a slash or a leading dot. */

/** Whether `path` is one that the shell would expand `pattern` to, if it exists. */
export function matchesGlob(pattern: string, path: string): boolean {
  const want = pattern.split("/");
  const have = path.split("/");
  return want.length === have.length && want.every((part, i) => matchesName(part, have[i] ?? ""));
}

function matchesName(pattern: string, name: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  return expression(pattern).test(name);
}

function expression(pattern: string): RegExp {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] ?? "";
    const end = char === "[" ? classEnd(pattern, at) : -1;
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (end > 0) {
      source += characterClass(pattern.slice(at + 1, end));
      at = end;
    } else if (char === "\\" && at + 1 < pattern.length) source += escape(pattern[++at] ?? "");
    else source += escape(char);
  }
  return new RegExp(`^${source}$`, "su");
}

/** Index of the bracket that closes the class; -1 when it is none. A first `]` stands for itself. */
function classEnd(pattern: string, start: number): number {
  const first = /^[!^]/.test(pattern.slice(start + 1)) ? start + 2 : start + 1;
  return pattern.indexOf("]", first + 1);
}

function characterClass(inside: string): string {
  const negated = /^[!^]/.test(inside);
  const members = (negated ? inside.slice(1) : inside).replace(/[\\\]\[^&|~]/g, "\\$&");
  return `[${negated ? "^" : ""}${members}]`;
}

function escape(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}
