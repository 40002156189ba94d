/** Stores: memory, a directory, two levels, many levels, and those that users write. */
import type { Serializer } from "./codecs.js";
import { Core } from "./core.js";
import { durationText, isNone, seconds, type Duration } from "./duration.js";
import { CacheError, invalid } from "./errors.js";
import type { Found } from "./found.js";
import { stats, type Stats } from "./function.js";
import { Ask } from "./ask.js";
import { refuseUnknown } from "./options.js";
import {
  capped,
  hostTier,
  localTier,
  memoryTier,
  named,
  validateCacheStorage,
  type CacheEntry,
  type CacheStorage,
  type Tier,
} from "./tier.js";

/** What functions take as a store: one of ours, a cache, or one of your own. */
export type StoreLike = Store | { readonly core: Core } | CacheStorage;

const asks = new Map<Duration, Ask>();
const ASKS = 256;

/** Returns the question of a write that lasts for `ttl`; zero, less and nothing mean no end, as the storage protocol says. */
function storageAsk(ttl: Duration | null | undefined): Ask {
  const lasting = ttl === null || ttl === undefined || isNone(ttl) ? Infinity : ttl;
  let ask = asks.get(lasting);
  if (ask === undefined) {
    ask = Ask.of(`{"ttl":${durationText(lasting)}}`);
    if (asks.size >= ASKS) asks.clear();
    asks.set(lasting, ask);
  }
  return ask;
}

const FRESH = Ask.of("{}");

/**
 * A store. Keys are strings, ttls seconds or texts such as `"5m"`; 0 or `null` as a ttl means no end.
 *
 * `get` and `exists` see what is fresh; `getEntry` also what is stale but still kept. What ends in `Sync` answers before it returns, where
 * every tier is memory or a directory.
 */
export class Store {
  constructor(
    /** The core's half. */
    readonly core: Core,
  ) {}

  /** Returns the fresh value under a key, or `undefined`. */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    const held = this.core.glance(key);
    if (held !== undefined) return this.core.lent(held.value) as T;
    return (await lookedUp<T>(this.core, key, true))?.value;
  }

  /** Returns the fresh value under a key, or `undefined`, before it returns. */
  getSync<T = unknown>(key: string): T | undefined {
    const held = this.core.glance(key);
    if (held !== undefined) return this.core.lent(held.value) as T;
    return lookedUpNow<T>(this.#now(), key)?.value;
  }

  /** Keeps a value for `ttl`. */
  async set(key: string, value: unknown, ttl?: Duration | null): Promise<void> {
    await this.core.put(key, value, storageAsk(ttl));
  }

  /** Keeps a value for `ttl`, before it returns. */
  setSync(key: string, value: unknown, ttl?: Duration | null): void {
    this.#now().putNow(key, value, storageAsk(ttl));
  }

  /** Removes a key; removing a missing one is no error. */
  async delete(key: string): Promise<void> {
    await this.core.delete(key);
  }

  /** Removes a key before it returns. */
  deleteSync(key: string): void {
    this.#now().deleteNow(key);
  }

  /** Says whether a key holds something fresh, without fetching it. */
  async exists(key: string): Promise<boolean> {
    return this.core.exists(key);
  }

  /** Says whether a key holds something fresh, before it returns. */
  existsSync(key: string): boolean {
    return this.#now().existsNow(key);
  }

  /** Marks a key as stale: it is served on until it ends, and the next caller refreshes it. */
  async expire(key: string): Promise<void> {
    await this.core.expire(key);
  }

  /** Returns the entry under a key if it may be served at all, fresh or stale. */
  async getEntry<T = unknown>(key: string): Promise<CacheEntry<T> | undefined> {
    const found = await lookedUp<T>(this.core, key, false);
    return found === undefined ? undefined : entryOf(found);
  }

  /** Keeps a value with its own deadlines, for `ttl` at most where that is given. */
  async setEntry(key: string, entry: Omit<CacheEntry, "createdAt"> & { createdAt?: number }, ttl?: Duration | null): Promise<void> {
    const { value, freshUntil, createdAt = Date.now() / 1000 } = entry;
    const lasting = ttl === undefined || ttl === null ? 0 : seconds(ttl);
    const limit = lasting > 0 ? Math.max(freshUntil, Date.now() / 1000 + lasting) : freshUntil;
    const life = [createdAt, freshUntil, entry.staleUntil ?? limit].map((moment) => moment * 1000);
    await this.core.putLife(key, value, life as [number, number, number]);
  }

  /** Keeps a value if the key is absent, and says whether it was kept. The furthest tier decides. */
  async setIfNotExists(key: string, value: unknown, ttl?: Duration | null): Promise<boolean> {
    return this.core.putIfAbsent(key, value, storageAsk(ttl));
  }

  /** Returns the fresh values among these keys; the requests run beside each other. */
  async getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>> {
    return gotMany<T>(this.core, keys);
  }

  /** Keeps several values; the requests run beside each other. */
  async setMany(entries: Iterable<readonly [string, unknown]> | Record<string, unknown>, ttl?: Duration | null): Promise<void> {
    const pairs = Symbol.iterator in entries ? [...entries] : Object.entries(entries);
    await this.core.putMany(pairs as [string, unknown][], storageAsk(ttl));
  }

  /** Removes several keys, with as few requests as each tier allows. */
  async deleteMany(keys: Iterable<string>): Promise<void> {
    await this.core.deleteMany([...keys]);
  }

  /** Removes every key that begins with `prefix`, and says how many there were. */
  async clear(prefix = ""): Promise<number> {
    return this.core.clear(prefix);
  }

  /** Removes what can never be served again, and says how much there was. Buckets are left as they are: a rule of theirs costs no requests. */
  async cleanupExpired(): Promise<number> {
    return this.core.sweep();
  }

  /** What memory holds, in bytes as far as they are known. */
  getMemoryUsage(): { bytesUsed: number; entryCount: number; avgEntrySize: number } {
    const usage = JSON.parse(this.core.native.nearUsage()) as { entries: number; bytes: number } | null;
    const { entries, bytes } = usage ?? { entries: 0, bytes: 0 };
    return { bytesUsed: bytes, entryCount: entries, avgEntrySize: entries === 0 ? 0 : Math.floor(bytes / entries) };
  }

  /** Lists the keys of every tier that can list them, sorted; behind memory some may have expired. */
  async keys(prefix = ""): Promise<string[]> {
    return this.core.keys(prefix);
  }

  /** What happened so far. */
  stats(): Stats {
    return stats(this.core);
  }

  /** Closes the store; later calls fail with `closed`. */
  async close(): Promise<void> {
    await this.core.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #now(): Core {
    const { waits } = this.core;
    if (waits === undefined) return this.core;
    throw new CacheError("unsupported", `a tier on \`${waits}\` does not answer at once: use the method that returns a promise`);
  }
}

/** Returns the entry under a key; a copy that cannot be decoded is a miss there, and the next tier is asked. */
export async function lookedUp<T>(
  core: Core,
  key: string,
  isFresh: boolean,
  from = FRESH,
  signal?: AbortSignal,
): Promise<Found<T> | undefined> {
  let ask = from;
  for (;;) {
    const found = await core.entry<T>(key, ask, isFresh, signal);
    const bad = found === undefined ? undefined : corrupt(found);
    if (bad === undefined) return found;
    core.distrust(key, bad, "a value cannot be decoded");
    ask = ask.distrusting(bad);
  }
}

function lookedUpNow<T>(core: Core, key: string): Found<T> | undefined {
  let ask = FRESH;
  for (;;) {
    const found = core.entryNow<T>(key, ask, true);
    const bad = found === undefined ? undefined : corrupt(found);
    if (bad === undefined) return found;
    core.distrust(key, bad, "a value cannot be decoded");
    ask = ask.distrusting(bad);
  }
}

/** Returns the tier whose copy cannot be decoded. */
function corrupt(found: Found): string | undefined {
  try {
    void found.value;
    return undefined;
  } catch (error) {
    if (error instanceof CacheError && error.code === "corrupt") return found.tier ?? "";
    throw error;
  }
}

export async function gotMany<T>(core: Core, keys: Iterable<string>): Promise<Map<string, T>> {
  const values = new Map<string, T>();
  for (const found of await core.getMany<T>([...keys])) {
    if (!found.hasValue) continue;
    // One by one where a copy is bad: it is a miss there, and the next tier is asked.
    const read = corrupt(found) === undefined ? found : await lookedUp<T>(core, found.key, true);
    if (read !== undefined) values.set(found.key, read.value);
  }
  return values;
}

function entryOf<T>(found: Found<T>): CacheEntry<T> {
  const [createdAt, freshUntil, staleUntil] = [found.createdAt, found.freshUntil, found.staleUntil].map((moment) => moment / 1000) as [
    number,
    number,
    number,
  ];
  return { value: found.value, createdAt, freshUntil, staleUntil };
}

/** Settings of memory. */
export interface InMemOptions {
  /** How many entries it holds; 100,000 by default. */
  maxEntries?: number | undefined;
  /** How many bytes keys and values may take, estimated. */
  maxBytes?: number | undefined;
  /** Whether values are copied (`structuredClone`) on their way in and out, so that nobody changes another's. */
  clone?: boolean | undefined;
}

/** Memory in this process, bounded, with a cache's eviction rather than a list's: scans do not flush it. */
export class InMemCache extends Store {
  constructor(options: InMemOptions = {}) {
    refuseUnknown(options, ["maxEntries", "maxBytes", "clone"], "InMemCache");
    super(Core.over([memoryTier(options.maxEntries ?? 100_000, options.maxBytes, options.clone ?? false)], "{}"));
  }
}

/** Settings of a directory. */
export interface LocalFileOptions {
  /** How values become bytes; JSON by default. */
  serializer?: Serializer | undefined;
  /** Whether values are compressed with gzip. */
  compress?: boolean | undefined;
  /** 1 to 9. */
  compressLevel?: number | undefined;
  /** Stands before every key; nothing outside it is seen. */
  prefix?: string | undefined;
  /** How many bytes the values may take; the least recently used go first. 1 GiB by default, `Infinity` for no limit. */
  maxBytes?: number | undefined;
  /** Whether a value is synced to the disk before `set` is done. */
  durable?: boolean | undefined;
}

/** A directory: values as files, which any tool can read, and an index in SQLite. Processes may share it, in every language. */
export class LocalFileCache extends Store {
  constructor(rootDir: string, options: LocalFileOptions = {}) {
    refuseUnknown(options, ["serializer", "compress", "compressLevel", "prefix", "maxBytes", "durable"], "LocalFileCache");
    const level = options.compressLevel ?? 6;
    if (!Number.isInteger(level) || level < 1 || level > 9) throw invalid(`\`compressLevel\` must be from 1 to 9, not ${level}`);
    const tier = localTier(rootDir, {
      serializer: options.serializer ?? "json",
      compress: options.compress === true ? level : undefined,
      prefix: options.prefix ?? "",
      maxBytes: options.maxBytes ?? 2 ** 30,
      durable: options.durable ?? false,
    });
    super(Core.over([tier], "{}"));
  }
}

/** A store of a chain, and the longest it keeps an entry; `null` for no limit. */
export type Level = readonly [StoreLike, (Duration | null)?];

/** Several stores, nearest first. Writes go to all, reads stop at the first that answers and fill those before it. */
export class ChainCache extends Store {
  constructor(levels: readonly Level[]) {
    if (!Array.isArray(levels) || !levels.every(Array.isArray)) throw invalid("a chain is a list of pairs: a store and its ttl");
    super(Core.over(named(levels.flatMap(([store, ttl]) => capped(tiersOf(store as StoreLike), ttl as Duration | null))), "{}"));
  }

  /** Makes a chain of stores, with a limit for each in `ttls`. */
  static build(stores: readonly StoreLike[], options: { ttls?: readonly (Duration | null)[] } = {}): ChainCache {
    refuseUnknown(options, ["ttls"], "ChainCache.build");
    const ttls = options.ttls ?? stores.map(() => null);
    if (ttls.length !== stores.length) throw invalid(`${stores.length} stores need ${stores.length} ttls, not ${ttls.length}`);
    return new ChainCache(stores.map((store, at) => [store, ttls[at] as Duration | null]));
  }
}

/** Settings of two levels. */
export interface HybridOptions {
  /** The near store; memory by default. */
  l1Cache?: StoreLike | undefined;
  /** The far store. */
  l2Cache: StoreLike;
  /** For how long the near one keeps a copy; 60 seconds by default. */
  l1Ttl?: Duration | null | undefined;
  /** For how long the far one keeps an entry; as long as it lives by default. */
  l2Ttl?: Duration | null | undefined;
}

/** Two levels: a near one that is fast, and a far one that is large or shared. */
export class HybridCache extends Store {
  readonly l1: StoreLike;
  readonly l2: StoreLike;
  readonly l1Ttl: Duration | null;
  readonly l2Ttl: Duration | null;

  constructor(options: HybridOptions) {
    refuseUnknown(options, ["l1Cache", "l2Cache", "l1Ttl", "l2Ttl"], "HybridCache");
    if (options.l2Cache === undefined || options.l2Cache === null) throw invalid("`l2Cache` is required");
    const l1 = options.l1Cache ?? new InMemCache();
    const l1Ttl = options.l1Ttl === undefined ? 60 : options.l1Ttl;
    const l2Ttl = options.l2Ttl ?? null;
    super(Core.over(named([...capped(tiersOf(l1), l1Ttl), ...capped(tiersOf(options.l2Cache), l2Ttl)]), "{}"));
    [this.l1, this.l2, this.l1Ttl, this.l2Ttl] = [l1, options.l2Cache, l1Ttl, l2Ttl];
  }
}

// ---- any store

function tiersOf(store: StoreLike): readonly Tier[] {
  const { tiers } = asCore(store);
  if (tiers.length === 0) throw invalid("a cache that was opened from a configuration has its own chain: name the tiers there");
  return tiers;
}

const cores = new WeakMap<object, Core>();

/** Returns the core of a store. A store that a user wrote gets one of its own, the same each time. */
export function asCore(store: StoreLike): Core {
  const own = (store as { core?: unknown } | null)?.core;
  if (own instanceof Core) return own;
  const written = store as CacheStorage;
  let core = typeof store === "object" && store !== null ? cores.get(store) : undefined;
  if (core === undefined) {
    core = Core.over([hostTier(written)], "{}");
    cores.set(store, core);
  }
  return core;
}

/** Returns a store: the one given, what a function makes, or a new one in memory. */
export function resolve(store: StoreLike | (() => StoreLike) | undefined): StoreLike {
  if (store === undefined) return new InMemCache();
  if (typeof store !== "function") return store;
  const isClass = /^class\b/u.test(Function.prototype.toString.call(store));
  return isClass ? new (store as unknown as new () => StoreLike)() : store();
}

export { validateCacheStorage, type CacheEntry, type CacheStorage };
