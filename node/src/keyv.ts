/**
 * A store for Keyv, and so for what is built on it: cacheable, cache-manager, got, cacheable-request.
 *
 * @example
 * import Keyv from "keyv";
 * import { ChainCache, InMemCache, S3Cache } from "undercroft";
 * import { KeyvUndercroft } from "undercroft/keyv";
 *
 * const chain = new ChainCache([[new InMemCache(), 60], [new S3Cache("bucket")]]);
 * const keyv = new Keyv({ store: new KeyvUndercroft(chain), namespace: "users" });
 */
import { createHash } from "node:crypto";
import { EventEmitter } from "node:events";
import { openCache, type Config } from "./cache.js";
import { Core } from "./core.js";
import { asCore, InMemCache, lookedUp, Store, type StoreLike } from "./stores.js";

/** One value of `setMany`; `ttl` in milliseconds. */
export interface KeyvEntry {
  key: string;
  value: unknown;
  ttl?: number;
}

/** A Keyv storage adapter over any of our stores, a cache, or a configuration. Times are milliseconds, as in Keyv. */
export class KeyvUndercroft extends EventEmitter {
  /** What Keyv looks at. Keyv 5 goes through the keys of an adapter only if its URL names one that it knows to have an iterator. */
  opts: Record<string, unknown> = { dialect: "undercroft", url: "undercroft: has an iterator, as redis" };
  /**
   * Set by Keyv 5, which prefixes keys by itself. It is not there before: Keyv 6 would leave the prefixes to an adapter that has it, and
   * the two would keep one value under two keys.
   */
  declare namespace?: string | undefined;
  readonly #store: Store;
  readonly #isOwn: boolean;

  constructor(store: StoreLike | Config | string | URL = new InMemCache()) {
    super();
    const isConfig =
      typeof store === "string" || store instanceof URL || (!(store instanceof Store) && "tiers" in store && Array.isArray(store.tiers));
    this.#isOwn = isConfig;
    const core: Core = isConfig ? openCache(store).core : asCore(store as StoreLike);
    this.#store = store instanceof Store ? store : new Store(core);
  }

  async get<T = unknown>(key: string): Promise<T | undefined> {
    return this.#told(this.#store.get<T>(known(key)));
  }

  async getMany<T = unknown>(keys: string[]): Promise<(T | undefined)[]> {
    const found = await this.#told(this.#store.getMany<T>(keys.map(known)));
    return keys.map((key) => found.get(known(key)));
  }

  /** Tells listeners of a read that failed: Keyv takes it for a miss, and tells only of what it hears here. */
  async #told<T>(read: Promise<T>): Promise<T> {
    try {
      return await read;
    } catch (error) {
      if (this.listenerCount("error") > 0) this.emit("error", error);
      throw error;
    }
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    // Without a ttl the policy of a cache decides; a store keeps it for ever.
    if (ttl === undefined) await this.#store.core.put(known(key), value, this.#store.core.ask);
    else await this.#store.set(known(key), value, ttl / 1000);
    return true;
  }

  async setMany(entries: KeyvEntry[]): Promise<void> {
    const byTtl = new Map<number | undefined, [string, unknown][]>();
    for (const { key, value, ttl } of entries) {
      const group = byTtl.get(ttl) ?? [];
      group.push([known(key), value]);
      byTtl.set(ttl, group);
    }
    await Promise.all(
      [...byTtl].map(async ([ttl, group]) => {
        if (ttl === undefined) await this.#store.core.putMany(group, this.#store.core.ask);
        else await this.#store.setMany(group, ttl / 1000);
      }),
    );
  }

  /** Says whether the key was there. */
  async delete(key: string): Promise<boolean> {
    const existed = await this.#store.exists(known(key));
    await this.#store.delete(known(key));
    return existed;
  }

  /** Says whether any of the keys was there. */
  async deleteMany(keys: string[]): Promise<boolean> {
    const existed = await this.hasMany(keys);
    await this.#store.deleteMany(keys.map(known));
    return existed.includes(true);
  }

  /** Removes everything, or what is in the namespace. */
  async clear(): Promise<void> {
    await this.#store.clear(this.namespace === undefined ? "" : `${this.namespace}:`);
  }

  async has(key: string): Promise<boolean> {
    return this.#store.exists(known(key));
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.#store.exists(known(key))));
  }

  /** Goes through keys and values, those of a namespace where one is given. */
  async *iterator<T = unknown>(namespace?: string): AsyncGenerator<[string, T], void> {
    const keys = await this.#store.keys(namespace === undefined ? "" : `${namespace}:`);
    for (const key of keys) {
      const found = await lookedUp<T>(this.#store.core, key, true);
      if (found !== undefined) yield [key, found.value];
    }
  }

  /** Closes what was opened from a configuration here; a store that was given stays open. */
  async disconnect(): Promise<void> {
    if (this.#isOwn) await this.#store.close();
  }
}

/** How long a key may be, in bytes. */
const LONGEST = 1024;

/** Returns a key as our stores take it: Keyv's may be longer, as got's, which are URLs. The namespace in front stays. */
function known(key: string): string {
  if (typeof key !== "string" || (Buffer.byteLength(key) <= LONGEST && !/[\u0000-\u001f\u007f]/u.test(key))) return key;
  const start = key.slice(0, 100).replace(/[\u0000-\u001f\u007f\ud800-\udfff]/gu, "_");
  return `${start}#${createHash("sha256").update(key).digest("hex")}`;
}
