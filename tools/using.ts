/**
 * Guard against a minifier that drops releases.
 *
 * The bundler's minifier puts an expression that is used once in the place of its variable, and does so even when the
 * variable was declared with `using`: what should be released at the end of the block then never is. The finished
 * bundle is therefore compared with one that was not minified.
 *
 * @module
 */

const DECLARATION = /\busing\s+(?=[A-Za-z_$][\w$]*\s*=)/g;

/** How many variables a program declares with `using` or `await using`. */
export function countUsing(text: string): number {
  let count = 0;
  for (const { index, 0: word } of text.matchAll(DECLARATION)) {
    count += declarators(text, index + word.length);
  }
  return count;
}

/** @throws {Error} when the minified files declare fewer than the plain ones */
export function assertReleasesKept(plain: Iterable<string>, minified: Iterable<string>): void {
  const total = (files: Iterable<string>) => [...files].reduce((sum, text) => sum + countUsing(text), 0);
  const [before, after] = [total(plain), total(minified)];
  if (after === before) return;
  throw new Error(
    `minifying lost ${
      before - after
    } of ${before} "using" declarations, whose values would never be released: ` +
      "mention such a variable more than once in its block",
  );
}

/** Declarators from `start` to the end of the statement: the commas outside of all brackets and quotes, plus one. */
function declarators(text: string, start: number): number {
  let depth = 0;
  let commas = 0;
  for (let at = start; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === '"' || char === "'" || char === "`") at = endOfQuote(text, at);
    else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char) && depth-- === 0) break;
    else if (char === ";" && depth === 0) break;
    else if (char === "," && depth === 0) commas++;
  }
  return commas + 1;
}

function endOfQuote(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start]) at += text[at] === "\\" ? 2 : 1;
  return at;
}
