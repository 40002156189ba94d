/** Options: what is not known is refused, with what was probably meant. */
import { invalid } from "./errors.js";
import { native } from "./native.js";

/** Refuses options that `place` does not have. */
export function refuseUnknown(options: object, known: readonly string[], place: string): void {
  if (typeof options !== "object" || options === null) throw invalid(`the options of \`${place}\` must be an object`);
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const close = native.closest(name, [...known]);
    throw invalid(`unknown option \`${name}\` of \`${place}\`${close === null ? "" : `; did you mean \`${close}\`?`}`);
  }
}
