/** Tiers: stores with their place in a chain. */
import { Asked, bridge, values, type Question, type Said } from "./bridge.js";
import { codecOf, typeName, type Serializer } from "./codecs.js";
import { guarded, invalid } from "./errors.js";
import type { Index } from "./live.js";
import { native, type NativeTier } from "./native.js";
import { durationText, isNone, type Duration } from "./duration.js";

/** A tier as both sides know it. */
export interface Tier {
  native: NativeTier;
  /** Where the values of memory are found by key. */
  index: Index | undefined;
  /** Whether readers get copies. */
  clones: boolean;
  /** The user's store that it is made of, which lives as long. */
  store?: object;
}

export function memoryTier(maxEntries: number, maxBytes: number | undefined, clones: boolean): Tier {
  return { native: guarded(() => native.Tier.memory(maxEntries, maxBytes)), index: new Map(), clones };
}

function far(made: () => NativeTier): Tier {
  return { native: guarded(made), index: undefined, clones: false };
}

/** What a directory is opened with. */
export interface LocalSettings {
  serializer: Serializer;
  compress: number | undefined;
  prefix: string;
  maxBytes: number | undefined;
  durable: boolean;
}

export function localTier(root: string, settings: LocalSettings): Tier {
  const { id, instance } = codecOf(settings.serializer);
  const { compress, prefix, maxBytes, durable } = settings;
  return far(() => native.Tier.local(root, id, instance, compress, prefix, maxBytes, durable));
}

export function objectTier(settings: Record<string, unknown>, serializer: Serializer): Tier {
  const { id, instance } = codecOf(serializer);
  return far(() => native.Tier.object(JSON.stringify(settings), id, instance));
}

/**
 * What a store of your own has to offer. `ttl` is in seconds; 0 means no end. Every method may return a promise.
 *
 * A store that also has `getEntry(key)` and `setEntry(key, entry, ttl)` keeps the deadlines itself. A store that has `clear()` can be
 * cleared as a whole.
 */
export interface CacheStorage {
  /** Returns the value, or `undefined`. */
  get(key: string): unknown;
  /** Keeps a value for `ttl` seconds. */
  set(key: string, value: unknown, ttl: number): unknown;
  /** Removes a value; removing a missing one is no error. */
  delete(key: string): unknown;
  /** Says whether there is a value. */
  exists(key: string): unknown;
  /** Keeps a value if there is none, and says whether it was kept. */
  setIfNotExists(key: string, value: unknown, ttl: number): unknown;
}

/** A value and its deadlines, in seconds since the epoch; `Infinity` for ever. */
export interface CacheEntry<T = unknown> {
  value: T;
  freshUntil: number;
  createdAt: number;
  /** Until when it may be served at all; left out, that is the store's to say. */
  staleUntil?: number;
}

interface EntryStorage extends CacheStorage {
  getEntry(key: string): unknown;
  setEntry(key: string, entry: CacheEntry, ttl: number): unknown;
  clear?(): unknown;
}

const PROTOCOL = ["get", "set", "delete", "exists", "setIfNotExists"] as const;

/** Says whether an object has the methods of a store. */
export function validateCacheStorage(store: unknown): store is CacheStorage {
  return (
    typeof store === "object" && store !== null && PROTOCOL.every((name) => typeof (store as Record<string, unknown>)[name] === "function")
  );
}

const hosts = new WeakMap<object, Tier>();

/** Makes a tier of a store that the user wrote; the same one each time. */
export function hostTier(store: CacheStorage): Tier {
  const known = hosts.get(store);
  if (known !== undefined) return known;
  if (!validateCacheStorage(store)) {
    const name = typeName(store);
    const missing = PROTOCOL.find((method) => typeof (store as Record<string, unknown> | null)?.[method] !== "function");
    throw invalid(`\`${name}\` is no cache store: it has no method \`${missing}\``);
  }
  const all = store as EntryStorage;
  const keepsEntries = typeof all.getEntry === "function" && typeof all.setEntry === "function";
  const label = typeName(store);
  const { slot } = values.keep(new Asked(store, said));
  const tier: Tier = { ...far(() => native.Tier.host(bridge, slot, label, keepsEntries)), store };
  hosts.set(store, tier);
  return tier;
}

const SECOND = 1000;

async function said(store: EntryStorage, { verb, key, value, ttl, life }: Question): Promise<Said> {
  switch (verb) {
    case "get": {
      const found = await store.get(key);
      // What is nothing may be a value: the store itself says whether it is.
      if ((found === undefined || found === null) && !(await store.exists(key))) return { flag: false };
      return { flag: true, value: { of: found } };
    }
    case "getEntry": {
      const entry = (await store.getEntry(key)) as CacheEntry | null | undefined;
      if (entry === null || entry === undefined) return { flag: false };
      const until = (seconds: number): number => seconds * SECOND;
      const staleUntil = entry.staleUntil ?? Infinity;
      return { flag: true, value: { of: entry.value }, life: [until(entry.createdAt), until(entry.freshUntil), until(staleUntil)] };
    }
    case "set":
      await store.set(key, value, ttl);
      return { flag: true };
    case "setEntry": {
      const [createdAt, freshUntil, staleUntil] = life.map((moment) => moment / SECOND) as [number, number, number];
      await store.setEntry(key, { value, createdAt, freshUntil, staleUntil }, ttl);
      return { flag: true };
    }
    case "setIfNotExists":
      return { flag: Boolean(await store.setIfNotExists(key, value, ttl)) };
    case "delete":
      await store.delete(key);
      return { flag: true };
    case "exists":
      return { flag: Boolean(await store.exists(key)) };
    case "clear": {
      if (typeof store.clear !== "function") return { flag: false };
      const count = await store.clear();
      return { flag: true, count: typeof count === "number" ? count : 0 };
    }
    default:
      throw new Error(`no such verb \`${verb}\``);
  }
}

/** Limits how long tiers keep entries. `null`, zero and less mean no limit. */
export function capped(tiers: readonly Tier[], ttl: Duration | null | undefined): Tier[] {
  if (ttl === null || ttl === undefined || isNone(ttl)) return [...tiers];
  return tiers.map((tier) => ({ ...tier, native: guarded(() => tier.native.capped(durationText(ttl))) }));
}

/** Names tiers by their place: `l1`, `l2`, … */
export function named(tiers: Tier[]): Tier[] {
  return tiers.map((tier, at) => ({ ...tier, native: tier.native.named(`l${at + 1}`) }));
}
