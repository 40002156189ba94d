/** About how many bytes a value takes, for memory that counts bytes. */

/** How many values are looked at; the rest is reckoned from them. */
const LOOKS = 2000;
const WORD = 8;

/** Estimates how many bytes a value takes, with what the built-in containers in it hold; what is in it twice counts once. */
export function sizeOf(value: unknown): number {
  return Math.max(1, new Reckoning().of(value));
}

class Reckoning {
  readonly #seen = new Set<object>();
  #left = LOOKS;

  of(value: unknown): number {
    this.#left -= 1;
    switch (typeof value) {
      case "string":
        return 16 + value.length;
      case "object":
        break;
      case "bigint":
        return 24;
      case "function":
        return 64;
      default:
        return WORD;
    }
    if (value === null || this.#seen.has(value)) return WORD;
    this.#seen.add(value);
    if (ArrayBuffer.isView(value)) return 96 + value.byteLength;
    if (value instanceof ArrayBuffer) return 64 + value.byteLength;
    if (Array.isArray(value)) return 16 + this.#share(value, value.length, (item) => WORD + this.of(item));
    if (value instanceof Map) return 48 + this.#share(value, value.size, ([key, item]) => 3 * WORD + this.of(key) + this.of(item));
    if (value instanceof Set) return 48 + this.#share(value, value.size, (item) => 2 * WORD + this.of(item));
    const items = Object.values(value);
    return 24 + this.#share(items, items.length, (item) => WORD + this.of(item));
  }

  /** Looks at the first items; the rest is reckoned from them. */
  #share<T>(items: Iterable<T>, count: number, of: (item: T) => number): number {
    let seen = 0;
    let sum = 0;
    for (const item of items) {
      if (this.#left <= 0) break;
      seen += 1;
      sum += of(item);
    }
    return seen === 0 ? count * WORD : Math.round((sum * count) / seen);
  }
}
