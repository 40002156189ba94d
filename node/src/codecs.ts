/** Codecs: how JavaScript values become bytes, and bytes values. */
import { types } from "node:util";
import { deserialize, serialize } from "node:v8";
import { decode as unpack, encode as pack } from "@msgpack/msgpack";
import { CacheError, invalid } from "./errors.js";
import { native, type Encoded } from "./native.js";

/** A codec of your own. */
export interface CustomCodec<T = unknown> {
  /** Writes a value. Throwing says that it cannot be written. */
  encode(value: T): Uint8Array;
  /** Reads what `encode` wrote. Throwing makes the entry a miss. */
  decode(bytes: Uint8Array): T;
}

/**
 * - `json`: what JSON can say, readable by every language (integers beyond 2^53 are rounded when JavaScript reads them);
 * - `msgpack`: that, and bytes (integers beyond 2^53 are read as `BigInt`);
 * - `raw`: `Uint8Array` alone, kept as it is (what is read is a `Buffer`);
 * - `utf8`: strings alone;
 * - `v8`: whatever `structuredClone` takes, for Node alone;
 * - or your own.
 */
export type Serializer =
  "json" | "msgpack" | "raw" | "utf8" | "v8" | { encode(value: never): Uint8Array; decode(bytes: Uint8Array): unknown };

/** A codec as the core knows it. */
export interface Codec {
  id: number;
  /** Tells custom ones apart; 0 for all others. */
  instance: number;
  encode(value: unknown): Uint8Array | string;
  decode(data: Uint8Array | string): unknown;
}

const IDS: ReadonlyMap<string, number> = new Map(
  (JSON.parse(native.contract()) as { codecs: { name: string; id: number }[] }).codecs.map(({ name, id }) => [name, id]),
);

function codec(name: string, encode: Codec["encode"], decode: Codec["decode"], instance = 0): Codec {
  const id = IDS.get(name);
  if (id === undefined) throw new Error(`undercroft: the core knows no codec \`${name}\``);
  return { id, instance, encode, decode };
}

const text = (data: Uint8Array | string): string =>
  typeof data === "string" ? data : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
const bytes = (data: Uint8Array | string): Uint8Array => (typeof data === "string" ? new TextEncoder().encode(data) : data);

const CODECS: Record<string, Codec> = {
  json: codec("json", encodeJson, (data) => JSON.parse(text(data))),
  msgpack: codec("msgpack", encodeMsgpack, (data) => plainIntegers(unpack(bytes(data), { useBigInt64: true }))),
  raw: codec("raw", encodeRaw, bytes),
  utf8: codec("utf8", encodeText, text),
  v8: codec("v8", encodeV8, (data) => deserialize(bytes(data))),
};

const customs = new Map<number, Codec>();
const known = new WeakMap<object, Codec>();

/** Returns the codec that a serializer names, or is. */
export function codecOf(serializer: Serializer): Codec {
  if (typeof serializer === "string") {
    const found = Object.hasOwn(CODECS, serializer) ? CODECS[serializer] : undefined;
    if (found === undefined) {
      const close = native.closest(serializer, Object.keys(CODECS));
      const hint = close === null ? `use one of ${Object.keys(CODECS).join(", ")}` : `did you mean \`${close}\`?`;
      throw invalid(`unknown serializer \`${serializer}\`; ${hint}`);
    }
    return found;
  }
  const custom = serializer as CustomCodec | null;
  if (typeof custom?.encode !== "function" || typeof custom.decode !== "function") {
    throw invalid("a serializer is a name, or an object with `encode` and `decode`");
  }
  let made = known.get(custom);
  if (made === undefined) {
    const encode = (value: unknown): Uint8Array => {
      const written = custom.encode(value);
      if (!types.isUint8Array(written)) throw new TypeError("`encode` must return a Uint8Array");
      return written;
    };
    made = codec("custom_js", encode, (data) => custom.decode(bytes(data)), customs.size + 1);
    customs.set(made.instance, made);
    known.set(custom, made);
  }
  return made;
}

function find(id: number, instance: number): Codec | undefined {
  if (instance !== 0) return customs.get(instance);
  for (const name in CODECS) {
    const codec = CODECS[name] as Codec;
    if (codec.id === id) return codec;
  }
  return undefined;
}

/** Writes a value under a codec; what cannot be written says why. */
export function encoded(value: unknown, id: number, instance: number): Encoded {
  const codec = find(id, instance);
  try {
    if (codec === undefined) throw new TypeError("Node has no such codec");
    return { codec: id, instance, data: codec.encode(value) };
  } catch (error) {
    return {
      codec: id,
      instance,
      error: `a value of type \`${typeName(value)}\` cannot be encoded as \`${codecName(id)}\`: ${messageOf(error)}`,
    };
  }
}

/** Reads a value. */
export function decoded(data: Uint8Array | string, id: number, instance: number, tier: string | undefined): unknown {
  const codec = find(id, instance);
  if (codec === undefined) {
    throw new CacheError("corrupt", `a value is written with the codec \`${codecName(id)}\` (number ${id}), which Node cannot read`, {
      tier,
    });
  }
  try {
    return codec.decode(data);
  } catch (cause) {
    throw new CacheError("corrupt", `a value cannot be decoded from \`${codecName(id)}\`: ${messageOf(cause)}`, { tier, cause });
  }
}

/** Names a codec by its number. */
export function codecName(id: number): string {
  return [...IDS].find(([, number]) => number === id)?.[0] ?? "unknown";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Names the kind of a value. */
export function typeName(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? name : "object";
}

// ---- writing

/** Deeper nesting is refused: a circle has no end, and readers in other languages follow 128 levels at most. */
const DEPTH = 120;

/**
 * Refuses what would be lost on the way: a reader gets what a writer put, whichever tier answers. Properties that are `undefined` are left
 * out, as everywhere in JSON. An object of a user's own class may say what it is with `toJSON`.
 */
function check(value: unknown, takesBytes: boolean, depth: number): void {
  switch (typeof value) {
    case "boolean":
      return;
    case "string":
      // JSON escapes half of a surrogate pair; UTF-8 cannot say it.
      if (takesBytes && !isWellFormed(value)) throw new TypeError("a string with half of a surrogate pair");
      return;
    case "number":
      if (!takesBytes && !Number.isFinite(value)) throw new TypeError(`${value} is no number there`);
      return;
    case "object":
      break;
    case "bigint":
      throw new TypeError("a BigInt");
    case "undefined":
      throw new TypeError("undefined");
    default:
      throw new TypeError(`a ${typeof value}`);
  }
  if (value === null) return;
  if (depth === 0) throw new TypeError(`nested more than ${DEPTH} deep, or in a circle`);
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) check(value[at], takesBytes, depth - 1);
    return;
  }
  if (takesBytes && types.isUint8Array(value)) return;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    if (takesBytes || isBuiltIn(value) || typeof (value as { toJSON?: unknown }).toJSON !== "function") {
      throw new TypeError(`a ${typeName(value)}`);
    }
    check((value as { toJSON(): unknown }).toJSON(), takesBytes, depth - 1);
    return;
  }
  for (const name in value) {
    if (!Object.hasOwn(value, name)) continue;
    if (takesBytes && name === "__proto__") throw new TypeError("a property `__proto__`");
    const item = (value as Record<string, unknown>)[name];
    if (item !== undefined) check(item, takesBytes, depth - 1);
  }
  const [symbol] = Object.getOwnPropertySymbols(value);
  if (symbol !== undefined) throw new TypeError("a property whose name is a symbol");
}

/** Says whether an object is of a class of JavaScript's or Node's, whose `toJSON` nobody chose. */
function isBuiltIn(value: object): boolean {
  return value instanceof Date || value instanceof URL || ArrayBuffer.isView(value);
}

function encodeJson(value: unknown): string {
  check(value, false, DEPTH);
  return JSON.stringify(value);
}

function encodeMsgpack(value: unknown): Uint8Array {
  check(value, true, DEPTH);
  return pack(value, { ignoreUndefined: true, maxDepth: DEPTH + 8 });
}

function encodeV8(value: unknown): Uint8Array {
  checkV8(value, new Set());
  return serialize(value);
}

/** Refuses objects of which V8 would keep the bare properties alone. */
function checkV8(value: unknown, seen: Set<object>): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  if (value instanceof Map) {
    for (const [key, item] of value) {
      checkV8(key, seen);
      checkV8(item, seen);
    }
    return;
  }
  if (value instanceof Set) {
    for (const item of value) checkV8(item, seen);
    return;
  }
  if (Array.isArray(value)) {
    for (const item of value) checkV8(item, seen);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    for (const item of Object.values(value)) checkV8(item, seen);
    return;
  }
  if (!isCloned(value)) throw new TypeError(`a ${typeName(value)}`);
}

function isCloned(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    types.isBoxedPrimitive(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  );
}

function encodeRaw(value: unknown): Uint8Array {
  if (types.isUint8Array(value)) return value;
  throw new TypeError("only a Uint8Array can be stored raw");
}

function encodeText(value: unknown): string {
  if (typeof value === "string" && isWellFormed(value)) return value;
  throw new TypeError("only a well-formed string can be stored as text");
}

/** Makes numbers of the integers that are exact as such; larger ones stay what they are. */
function plainIntegers(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) value[at] = plainIntegers(value[at]);
    return value;
  }
  if (value instanceof Date) return value;
  const plain = value as Record<string, unknown>;
  for (const name in plain) {
    const item = plain[name];
    if (typeof item === "bigint" || typeof item === "object") plain[name] = plainIntegers(item);
  }
  return value;
}

/** Says whether UTF-8 can say a string: it has no half of a surrogate pair (ECMAScript 2024, `String.prototype.isWellFormed`). */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}
