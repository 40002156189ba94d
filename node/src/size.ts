/** About how many bytes a value takes, for memory that counts bytes. */

const DEPTH = 8;
const ITEMS = 512;
const WORD = 8;

/** Estimates how many bytes a value takes, with what the built-in containers in it hold. */
export function sizeOf(value: unknown): number {
  return Math.max(1, reckon(value, DEPTH));
}

function reckon(value: unknown, depth: number): number {
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
  if (value === null) return WORD;
  if (ArrayBuffer.isView(value)) return 96 + value.byteLength;
  if (value instanceof ArrayBuffer) return 64 + value.byteLength;
  if (depth === 0) return 32;
  if (Array.isArray(value)) return 16 + share(value, value.length, (item) => WORD + reckon(item, depth - 1));
  if (value instanceof Map) {
    return 48 + share(value, value.size, ([key, item]) => 3 * WORD + reckon(key, depth - 1) + reckon(item, depth - 1));
  }
  if (value instanceof Set) return 48 + share(value, value.size, (item) => 2 * WORD + reckon(item, depth - 1));
  const items = Object.values(value);
  return 24 + share(items, items.length, (item) => WORD + reckon(item, depth - 1));
}

/** Looks at the first items; the rest is reckoned from them. */
function share<T>(items: Iterable<T>, count: number, of: (item: T) => number): number {
  let seen = 0;
  let sum = 0;
  for (const item of items) {
    if (seen === ITEMS) break;
    seen += 1;
    sum += of(item);
  }
  return seen === 0 ? 0 : Math.round((sum * count) / seen);
}
