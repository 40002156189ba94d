/** The native half: finding it, loading it, and what it offers. `bindings/node` has the docs. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { CacheError } from "./errors.js";

declare const opaque: unique symbol;

/** What a verb hands back: text, bytes, a lease or a list; `bridge.ts` knows which. */
export type Payload = { readonly [opaque]: "payload" };

export interface Encoded {
  codec: number;
  instance: number;
  data?: Uint8Array | string;
  error?: string;
}

export interface NativeAsk {
  readonly number: number;
  distrusting(tier: string): NativeAsk;
  skipping(tiers: string[]): NativeAsk;
  withTtl(ttl: string): NativeAsk;
}

export interface NativeLease {
  readonly key: string;
  readonly flight: number;
  readonly isRevoked: boolean;
  spare(): Payload;
  drop(): void;
}

export interface NativeTier {
  capped(maxTtl: string): NativeTier;
  named(name: string): NativeTier;
}

export interface NativeClock {
  readonly cell: Float64Array;
  advance(seconds: number): void;
  stepWall(seconds: number): void;
  wall(): number;
}

export interface NativeFaults {
  plan(fault: string, operation?: string, times?: number): void;
  heal(): void;
  release(): void;
  calls(): string[];
}

export interface NativeBridge {
  readonly answers: Float64Array;
  readonly clock: Float64Array;
  marks(chunk: number): Uint8Array;
  next(): Payload;
  released(): number[];
  cancel(ticket: number): void;
  answer(number: number, flag: boolean, slot?: number, life?: number[], count?: number): void;
  refuse(number: number, message: string): void;
}

/** The verbs that many calls run through; `ask` is the number of one. */
export interface Verbs {
  begin(key: string, ask: number, lineage?: number[]): Payload;
  entry(key: string, ask: number, isFresh: boolean): Payload;
  keep(key: string, slot: number, size: number, ask: number): Payload;
}

export interface NativeCore {
  readonly tierNames: string[];
  readonly farSchemes: string[];
  readonly codecs: [number, number][];
  readonly isSized: boolean;
  readonly ask: NativeAsk;
  blocking(): NativeCore;
  faults(tier: string): NativeFaults | null;
  verbs(): Verbs;
  put(key: string, slot: number, size: number, forms: Encoded[] | undefined, ask: NativeAsk): Payload;
  putLife(key: string, slot: number, size: number, forms: Encoded[] | undefined, life: number[]): Payload;
  putIfAbsent(key: string, slot: number, size: number, forms: Encoded[] | undefined, ask: NativeAsk): Payload;
  attach(key: string, createdAt: number, slot: number, size: number): number;
  exists(key: string): Payload;
  expire(key: string): Payload;
  delete(key: string): Payload;
  clear(prefix: string): Payload;
  sweep(): Payload;
  close(): Payload;
  distrust(key: string, tier: string, why: string): void;
  resume(lease: NativeLease, ask: NativeAsk): Payload;
  claim(key: string): Payload;
  fulfil(lease: NativeLease, slot: number, size: number, forms: Encoded[] | undefined, ask: NativeAsk): Payload;
  fail(lease: NativeLease): Payload;
  patience(lease: NativeLease, ask: NativeAsk): number | null;
  overdue(lease: NativeLease, ask: NativeAsk, waited: number): Payload;
  getMany(keys: string[]): Payload;
  putMany(keys: string[], slots: number[], sizes: number[], forms: Encoded[][], ask: NativeAsk): Payload;
  deleteMany(keys: string[]): Payload;
  nearUsage(): string;
  keys(prefix: string): Payload;
  stats(): string;
}

export interface Native {
  contract(): string;
  closest(name: string, contenders: string[]): string | null;
  duration(value: string): number;
  template(source: string, name: string, names: string[], positions: number, anyPosition: boolean, anyName: boolean): string;
  readEnvelope(
    header: Uint8Array,
    payload: Uint8Array,
  ): {
    codec: number;
    compressed: boolean;
    signed: boolean;
    createdAt: number;
    freshUntil?: number;
    staleUntil?: number;
  };
  forgetNear(core: NativeCore, key: string): boolean;
  putFar(core: NativeCore, tier: string, key: string, encoded: Encoded): Payload;
  Ask: new (policy: string, skip: string[]) => NativeAsk;
  Bridge: new (drain: () => void) => NativeBridge;
  ManualClock: new () => NativeClock;
  Tier: {
    memory(maxEntries: number, maxBytes?: number): NativeTier;
    local(
      root: string,
      codec: number,
      instance: number,
      compress: number | undefined,
      prefix: string,
      maxBytes: number | undefined,
      durable: boolean,
    ): NativeTier;
    object(settings: string, codec: number, instance: number): NativeTier;
    host(bridge: NativeBridge, slot: number, label: string, keepsEntries: boolean): NativeTier;
  };
  Core: {
    new (bridge: NativeBridge, tiers: NativeTier[], policy: string): NativeCore;
    open(bridge: NativeBridge, text: string, syntax: string, clock: NativeClock | undefined, faults: boolean): NativeCore;
  };
}

/** Returns the files that may hold the native half on this platform, likeliest first. */
export function candidates(platform: string = process.platform, arch: string = process.arch): string[] {
  const kinds = platform === "linux" ? ["-gnu", "-musl"] : platform === "win32" ? ["-msvc"] : [""];
  return kinds.map((kind) => fileURLToPath(new URL(`../undercroft.${platform}-${arch}${kind}.node`, import.meta.url)));
}

function load(): Native {
  const require = createRequire(import.meta.url);
  const named = process.env["UNDERCROFT_NATIVE"];
  const files = named ? [named] : candidates().filter((file) => existsSync(file));
  let cause: unknown;
  for (const file of files) {
    try {
      return require(file) as Native;
    } catch (error) {
      cause ??= error;
    }
  }
  const here = `${process.platform}-${process.arch}`;
  const what = files.length > 0 ? `\`${files[0]}\` cannot be loaded` : `this package holds no native library for ${here}`;
  const help =
    "build it in a checkout of the repository with `make node` (a Rust toolchain is all it needs), or name the file in UNDERCROFT_NATIVE";
  throw new CacheError("unsupported", `${what}: ${help}`, { cause });
}

/** The native half. */
export const native: Native = load();
