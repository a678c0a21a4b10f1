/** Patterns of paths, as in glob(7): `*`, `?` and `[...]`, none of which matches a slash or a leading dot. */

/** Whether `path` is one that the shell would expand `pattern` to, if it exists. */
export function matchesGlob(pattern: string, path: string): boolean {
  const want = pattern.split("/");
  const have = path.split("/");
  return want.length === have.length && want.every((part, i) => matchesName(part, have[i] ?? ""));
}

/** What one character of a name must be; `*` = any number of any characters. */
type Token = "*" | ((char: string) => boolean);

function matchesName(pattern: string, name: string): boolean {
  if (name.startsWith(".") && !pattern.startsWith(".")) return false;
  const tokens = tokenize([...pattern]);
  const chars = [...name];
  let token = 0;
  let char = 0;
  /** where to go on with one more character taken by the last star */
  let retry: { token: number; char: number } | undefined;
  while (char < chars.length) {
    const current = tokens[token];
    if (current === "*") {
      retry = { token: ++token, char };
    } else if (current?.(chars[char] ?? "")) {
      token++;
      char++;
    } else if (retry !== undefined) {
      token = retry.token;
      char = ++retry.char;
    } else return false;
  }
  return tokens.slice(token).every((rest) => rest === "*");
}

function tokenize(pattern: readonly string[]): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] ?? "";
    const end = char === "[" ? classEnd(pattern, at) : -1;
    if (char === "*") tokens.push("*");
    else if (char === "?") tokens.push(() => true);
    else if (end > 0) {
      tokens.push(characterClass(pattern.slice(at + 1, end)));
      at = end;
    } else {
      const literal = char === "\\" ? pattern[++at] ?? char : char;
      tokens.push((other) => other === literal);
    }
  }
  return tokens;
}

/** Index of the bracket that closes the class; -1 when it is none. A first `]` stands for itself. */
function classEnd(pattern: readonly string[], start: number): number {
  const first = isNegation(pattern[start + 1]) ? start + 2 : start + 1;
  return pattern.indexOf("]", first + 1);
}

function characterClass(inside: readonly string[]): Token {
  const negated = isNegation(inside[0]);
  const members = negated ? inside.slice(1) : inside;
  return (char) => {
    for (let at = 0; at < members.length; at++) {
      const from = members[at] ?? "";
      const to = members[at + 1] === "-" ? members[at + 2] : undefined;
      if (to !== undefined) at += 2;
      if (char >= from && char <= (to ?? from)) return !negated;
    }
    return negated;
  };
}

function isNegation(char: string | undefined): boolean {
  return char === "!" || char === "^";
}
