/** Keys of calls: templates, functions, and keys of all arguments. */
import { createHash, randomBytes } from "node:crypto";
import { CacheError, guarded, invalid } from "./errors.js";
import { format, plain, readSpec, type Spec } from "./format.js";
import { native } from "./native.js";

type Arguments = readonly unknown[];

/** A template such as `"user:{}"` or `"{tenant}/{user.id:08d}"`, or a function of the call's arguments. */
export type Key<A extends readonly unknown[] = never> = string | ((...args: A) => string);

/** The key of a function that was given none: made of all arguments, in the function's own namespace. */
export const AUTO: unique symbol = Symbol("all arguments");

/** A key that stands as it is, braces and all. */
export class Fixed {
  constructor(readonly key: string) {}
}

/** How keys of calls are made. */
export interface Plan {
  /** Makes the key of a call. */
  of(args: Arguments): string;
  /** With what all keys begin. */
  prefix: string;
  /** The key, where there is only one. */
  fixed: string | undefined;
  /** Which argument alone makes the key, as it is. */
  single: number | undefined;
}

interface Placeholder {
  at?: number;
  name?: string;
  path: (string | number)[];
  conversion: "s" | "r" | "a" | null;
  spec: string;
}

type AnyFunction = (...args: never[]) => unknown;

/** What a key is made from. */
export interface Naming {
  key: string | AnyFunction | Fixed | typeof AUTO;
  /** The names of the parameters, for placeholders with names. */
  params: readonly string[] | undefined;
  /** What names stand for where a call leaves their arguments out. */
  defaults: Readonly<Record<string, unknown>> | undefined;
  /** Becomes part of the key. */
  version: string | number | undefined;
}

/** Says how keys of calls of a function are made. */
export function plan(fn: AnyFunction, { key, params, defaults, version }: Naming): Plan {
  const suffix = version === undefined ? "" : `@${version}`;
  if (key instanceof Fixed) return fixed(key.key + suffix);
  if (key === AUTO) return automatic(fn, suffix);
  if (typeof key === "function") {
    const of = (args: Arguments): string => {
      const made = (key as (...args: Arguments) => unknown)(...args);
      if (typeof made !== "string")
        throw new CacheError("key_invalid", `a key must be a string; the function that makes keys returned \`${typeof made}\``);
      return made + suffix;
    };
    return { of, prefix: "", fixed: undefined, single: undefined };
  }
  if (typeof key !== "string") throw invalid(`a key is a template or a function, not \`${typeof key}\``);
  return fromTemplate(fn, key, { params, defaults }, suffix);
}

function fixed(key: string): Plan {
  return { of: () => key, prefix: "", fixed: key, single: undefined };
}

/** Says whether a function's text shows that it takes nothing. */
function takesNothing(fn: AnyFunction): boolean {
  if (fn.length > 0) return false;
  const text = Function.prototype.toString.call(fn);
  // Bound functions and those of the platform show nothing.
  if (text.includes("[native code]")) return false;
  return /^(?:async\s*)?(?:function\s*\*?\s*)?(?:[\w$]+\s*|\[[^\]]*\]\s*)?\(\s*\)/u.test(text);
}

type Names = Pick<Naming, "params" | "defaults">;

function fromTemplate(fn: AnyFunction, source: string, names: Names, suffix: string): Plan {
  const { params } = names;
  if (params !== undefined && !(Array.isArray(params) && params.every((name) => typeof name === "string"))) {
    throw invalid("`params` must be a list of the parameters' names");
  }
  const open = params === undefined && !takesNothing(fn);
  const parts = guarded(
    () =>
      JSON.parse(
        native.template(source, fn.name || "the function", [...(params ?? [])], Math.max(fn.length, params?.length ?? 0), open, open),
      ) as (string | Placeholder)[],
  );
  const pieces = parts.map((part) => (typeof part === "string" ? part : piece(part, names, source)));
  const [first] = pieces;
  const prefix = typeof first === "string" ? first : "";
  const placeholders = parts.filter((part): part is Placeholder => typeof part !== "string");
  if (placeholders.length === 0) return fixed(pieces.join("") + suffix);
  const [only, ...more] = placeholders as [Placeholder, ...Placeholder[]];
  const isPlain = more.length === 0 && only.path.length === 0 && only.conversion === null && only.spec === "";
  const single = !isPlain ? undefined : (only.at ?? (params === undefined ? undefined : params.indexOf(only.name as string)));
  const of = (args: Arguments): string => {
    let key = "";
    for (const piece of pieces) key += typeof piece === "string" ? piece : piece(args);
    return key + suffix;
  };
  return { of, prefix, fixed: undefined, single };
}

function piece(part: Placeholder, { params, defaults }: Names, source: string): (args: Arguments) => string {
  const spec = readSpec(part.spec, source);
  const shown = `{${part.name ?? part.at}}`;
  const fail = (what: string): CacheError => new CacheError("key_invalid", `key template \`${source}\`: \`${shown}\` ${what}`);
  const given = (args: Arguments): unknown => {
    if (part.at !== undefined) return args[part.at];
    if (params !== undefined) return args[params.indexOf(part.name as string)];
    const [first] = args;
    if (typeof first !== "object" || first === null) {
      throw fail("is read from an object as the first argument, and this call has none: name the parameters with `params`");
    }
    return (first as Record<string, unknown>)[part.name as string];
  };
  const name = part.name ?? params?.[part.at as number];
  const fallback = name !== undefined && defaults !== undefined && Object.hasOwn(defaults, name) ? defaults[name] : undefined;
  const root = (args: Arguments): unknown => {
    const value = given(args);
    return value === undefined ? fallback : value;
  };
  if (part.path.length === 0 && part.conversion === null && spec === undefined) {
    return (args) => {
      const value = root(args);
      if (typeof value === "string") return value;
      if (value === undefined) throw fail("is undefined in this call: give `defaults`, or a function as key");
      return plain(value);
    };
  }
  return (args) => {
    let value = root(args);
    for (const step of part.path) value = (value as Record<string | number, unknown> | null | undefined)?.[step];
    if (value === undefined) throw fail("is undefined in this call: give `defaults`, or a function as key");
    return written(value, part.conversion, spec);
  };
}

function written(value: unknown, conversion: Placeholder["conversion"], spec: Spec | undefined): string {
  let shown = value;
  if (conversion === "s") shown = plain(value);
  if (conversion === "r" || conversion === "a") shown = typeof value === "string" ? JSON.stringify(value) : plain(value);
  if (conversion === "a")
    shown = (shown as string).replace(/[^\x20-\x7e]/gu, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`);
  return spec === undefined ? plain(shown) : format(shown, spec);
}

// ---- keys of all arguments

function automatic(fn: AnyFunction, suffix: string): Plan {
  // The name alone would give two functions of one name the same keys; the text tells them apart, in every process that runs it.
  const source = Function.prototype.toString.call(fn);
  const text = createHash("sha256").update(source).digest("hex").slice(0, 12);
  const own = source.includes("[native code]") ? identity(fn) : "";
  const prefix = `${fn.name || "function"}#${text}${own}(`;
  const of = (args: Arguments): string => {
    let count = args.length;
    while (count > 0 && args[count - 1] === undefined) count -= 1;
    const texts = args.slice(0, count).map((argument) => token(argument, []));
    return `${prefix}${texts.join(",")})${suffix}`;
  };
  return { of, prefix, fixed: undefined, single: undefined };
}

const owners = new WeakMap<object, Map<string, WeakRef<AnyFunction>>>();

/** Refuses a second function with the same default keys in one store: made of one text, it may close over something else. */
export function own(store: object, prefix: string, fn: AnyFunction): void {
  const own = owners.get(store) ?? new Map<string, WeakRef<AnyFunction>>();
  owners.set(store, own);
  const before = own.get(prefix)?.deref();
  if (before !== undefined && before !== fn) {
    throw invalid(`two functions \`${fn.name}\` of the same text share a store, and would share their keys: give each a \`key\``);
  }
  own.set(prefix, new WeakRef(fn));
}

/** Returns a text for an argument that no other value shares. */
export function token(value: unknown, around: readonly object[] = []): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
    case "undefined":
      return String(value);
    case "symbol":
      if (Symbol.keyFor(value) !== undefined) return `Symbol(${JSON.stringify(Symbol.keyFor(value))})`;
      throw new CacheError("key_invalid", "a symbol cannot be part of a default key: give a key template or a function that makes keys");
    case "function":
      return identity(value);
    default:
      return value === null ? "null" : ofObject(value as object, around);
  }
}

function ofObject(value: object, around: readonly object[]): string {
  if (around.includes(value))
    throw new CacheError("key_invalid", "an argument that contains itself cannot be part of a default key: give a key");
  const inside = [...around, value];
  const of = (item: unknown): string => token(item, inside);
  if (Array.isArray(value)) return `[${value.map(of).join(",")}]`;
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof RegExp || value instanceof URL) return `${value.constructor.name}(${of(String(value))})`;
  if (value instanceof Map) return `Map{${[...value].map(([key, item]) => `${of(key)}:${of(item)}`).join(",")}}`;
  if (value instanceof Set) return `Set{${[...value].map(of).join(",")}}`;
  if (ArrayBuffer.isView(value)) {
    return `${value.constructor.name}(${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64")})`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return identity(value);
  const named = Object.keys(value)
    .sort()
    .map((name) => `${JSON.stringify(name)}:${of((value as Record<string, unknown>)[name])}`);
  const symbols = Object.getOwnPropertySymbols(value).map((name) => `${of(name)}:${of((value as Record<symbol, unknown>)[name])}`);
  return `{${[...named, ...symbols.sort()].join(",")}}`;
}

const PROCESS = randomBytes(8).toString("hex");
const identities = new WeakMap<object, number>();
let last = 0;

/** Returns a text that belongs to this object alone, in this process. */
function identity(value: object): string {
  let known = identities.get(value);
  if (known === undefined) identities.set(value, (known = last += 1));
  return `<${(value.constructor as { name?: string } | undefined)?.name ?? "object"}#${PROCESS}-${known}>`;
}
