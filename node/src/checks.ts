/** Keys and values before the core sees them. */
import { isWellFormed } from "./codecs.js";
import { CacheError } from "./errors.js";

/** Refuses a key that is no string: `String(key)` would give many objects one key, and so would replacing half of a surrogate pair. */
export function checked(key: string): string {
  if (typeof key !== "string") throw new CacheError("key_invalid", `a key must be a string, not \`${key === null ? "null" : typeof key}\``);
  if (!isWellFormed(key)) throw new CacheError("key_invalid", "a key must be well-formed Unicode: this one has half of a surrogate pair");
  return key;
}

/** Copies a value; what cannot be copied stays what it is. */
export function cloned(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}

/** Says whether a value can be copied. */
export function isCloneable(value: unknown): boolean {
  const isPlain = (typeof value !== "object" && typeof value !== "function") || value === null;
  return isPlain || cloned(value) !== value;
}
