import { nearest } from "../../config/nearest.ts";

/** `: did you mean …?` for the nearest name, or nothing. @param show writes the name as it is typed */
export function didYouMean(
  text: string,
  names: readonly string[],
  show = (name: string) => `"${name}"`,
): string {
  const name = nearest(text, names);
  return name === undefined ? "" : `: did you mean ${show(name)}?`;
}
