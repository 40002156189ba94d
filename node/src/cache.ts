/** `Cache`: what the decorators stand on, for those who want the verbs themselves. */
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { flights } from "./background.js";
import { Core } from "./core.js";
import { durationText, type Duration } from "./duration.js";
import { invalid } from "./errors.js";
import type { Found, Lease } from "./found.js";
import { stats, type Stats } from "./function.js";
import { Ask } from "./ask.js";
import type { NativeClock } from "./native.js";
import { refuseUnknown } from "./options.js";
import { asCore, gotMany, lookedUp, type StoreLike } from "./stores.js";
import { named } from "./tier.js";

/** How long values live, and how long callers wait. */
export interface Policy {
  /** For how long a value is fresh; `null` for ever, 0: it is not stored. */
  ttl?: Duration | null | undefined;
  /** For how long after that it is served at once while one caller refreshes it. */
  stale?: Duration | null | undefined;
  /** For how long after `ttl` a value is kept for when a load fails. */
  staleIfError?: Duration | null | undefined;
  /** The largest share of `ttl` by which lives are shortened at random, 0 to 1. */
  jitter?: number | undefined;
  /** The share of a life after which one caller has it refreshed. */
  refreshAhead?: number | undefined;
  /** How long a caller waits for a load when a stale value is at hand. */
  softTimeout?: Duration | null | undefined;
  /** How long a caller waits for a load at all. */
  hardTimeout?: Duration | null | undefined;
  /** How long a caller waits for another caller's load. */
  lockTimeout?: Duration | null | undefined;
}

const SHARES = ["jitter", "refreshAhead"];
const POLICY = ["ttl", "stale", "staleIfError", "jitter", "refreshAhead", "softTimeout", "hardTimeout", "lockTimeout"];

/** What a call asks for beside its key. */
export interface Asking {
  policy?: Policy | undefined;
  /** Names of tiers that this call neither reads nor writes. */
  skip?: readonly string[] | undefined;
  /** Ends the waiting of this call; loads go on. */
  signal?: AbortSignal | undefined;
}

/** The settings of a tier, in the names that every language shares. */
export interface TierConfig {
  /** `memory://`, `file:///folder`, `s3://bucket/folder`, `gs://bucket/folder`. */
  url: string;
  name?: string | undefined;
  max_ttl?: Duration | null | undefined;
  on_error?: "miss" | "raise" | undefined;
  codec?: "json" | "msgpack" | "raw" | "utf8" | "v8" | undefined;
  timeout?: Duration | null | undefined;
  retries?: number | undefined;
  backoff?: Duration | undefined;
  breaker?: number | undefined;
  cooldown?: Duration | undefined;
  compress?: boolean | number | string | undefined;
  max_value?: number | string | undefined;
  max_entries?: number | undefined;
  max_bytes?: number | string | undefined;
  durable?: boolean | undefined;
  [setting: string]: unknown;
}

/** A configuration: one document in every language. */
export interface Config {
  /** Stands before every key in every far tier. */
  namespace?: string | undefined;
  /** Nearest first. */
  tiers: readonly (string | TierConfig)[];
  policy?: {
    ttl?: Duration | null;
    stale?: Duration | null;
    stale_if_error?: Duration | null;
    jitter?: number;
    refresh_ahead?: number;
    soft_timeout?: Duration | null;
    hard_timeout?: Duration | null;
    lock_timeout?: Duration | null;
  };
}

/** How a configuration is opened, beside what it says. */
export interface OpenOptions {
  /** A clock that stands still, for tests (`undercroft/testing`). */
  clock?: { readonly native: NativeClock } | undefined;
  /** Whether every far tier can be made to fail, for tests. */
  faults?: boolean | undefined;
}

function policyText(policy: Policy, place: string): string {
  refuseUnknown(policy, POLICY, place);
  const settings = Object.entries(policy)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const text = SHARES.includes(name) ? JSON.stringify(value) : durationText(value as Duration | null);
      return `"${name.replace(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)}":${text}`;
    });
  return `{${settings.join(",")}}`;
}

/**
 * A chain of stores, the flights over it, and a default policy.
 *
 * A read that ends in a value: `begin` answers with a hit, a stale value (perhaps with a lease), or a miss with a lease. Who holds the lease
 * loads the value and calls `fulfil`, or `fail`.
 */
export class Cache {
  /** The core's half. */
  readonly core: Core;

  /** Takes stores, nearest first, or the core of a cache that was opened elsewhere. */
  constructor(stores: readonly StoreLike[] | Core, policy: Policy = {}) {
    const isOpen = stores instanceof Core;
    this.core = isOpen ? stores : Core.over(named(stores.flatMap((store) => [...asCore(store).tiers])), policyText(policy, "Cache"));
  }

  #ask(asking: Asking): Ask {
    const { policy, skip } = asking;
    if (policy !== undefined) return Ask.of(policyText(policy, "policy"), skip);
    return skip === undefined ? this.core.ask : this.core.ask.skipping(skip);
  }

  /** Starts a read that ends in a value: from the chain, from another caller, or from this one. */
  async begin<T = unknown>(key: string, asking: Asking = {}): Promise<Found<T>> {
    asking.signal?.throwIfAborted();
    return this.core.begin<T>(key, this.#ask(asking), flights(), asking.signal);
  }

  /** Looks far before a stale entry is loaded again: another process may have refreshed it. */
  async resume<T = unknown>(lease: Lease, asking: Asking = {}): Promise<Found<T>> {
    return this.core.resume<T>(lease, this.#ask(asking));
  }

  /** Takes the lease on a key whatever the chain holds, unless another caller has it. */
  claim(key: string): Lease | undefined {
    return this.core.claim(key);
  }

  /** Puts the value a lease stands for, and gives it to all who wait. */
  async fulfil(lease: Lease, value: unknown, asking: Asking = {}): Promise<void> {
    await this.core.fulfil(lease, value, this.#ask(asking));
  }

  /** Ends a lease whose load failed, and returns what to serve instead, if there is something. */
  fail<T = unknown>(lease: Lease): Found<T> | undefined {
    return this.core.fail<T>(lease);
  }

  /** Returns the value under a key if it may be served at all. Never waits for a loader. */
  async get<T = unknown>(key: string, asking: Asking = {}): Promise<T | undefined> {
    return (await this.entry<T>(key, asking))?.value;
  }

  /** Returns the value under a key with its deadlines and the tier that answered. */
  async entry<T = unknown>(key: string, asking: Asking = {}): Promise<Found<T> | undefined> {
    asking.signal?.throwIfAborted();
    return lookedUp<T>(this.core, key, false, this.#ask(asking), asking.signal);
  }

  /** Puts a value into every tier, the furthest first. */
  async put(key: string, value: unknown, policy?: Policy): Promise<void> {
    await this.core.put(key, value, this.#ask(policy === undefined ? {} : { policy }));
  }

  /** Puts a value only if the key is absent; the furthest tier decides. */
  async putIfAbsent(key: string, value: unknown, policy?: Policy): Promise<boolean> {
    return this.core.putIfAbsent(key, value, this.#ask(policy === undefined ? {} : { policy }));
  }

  /** Says whether a key holds something fresh, without fetching it. */
  async exists(key: string): Promise<boolean> {
    return this.core.exists(key);
  }

  /** Marks a key as stale: it is served on until it ends, and the next caller refreshes it. */
  async expire(key: string): Promise<void> {
    await this.core.expire(key);
  }

  /** Deletes a key from every tier, far first, and revokes the lease that is out on it. */
  async delete(key: string): Promise<void> {
    await this.core.delete(key);
  }

  /** Deletes every key that begins with `prefix`, and says how many the fullest tier held. */
  async clear(prefix: string): Promise<number> {
    return this.core.clear(prefix);
  }

  /** Returns the fresh values among these keys; the requests run beside each other. */
  async getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>> {
    return gotMany<T>(this.core, keys);
  }

  /** Puts several values; the requests run beside each other. */
  async putMany(entries: Iterable<readonly [string, unknown]>, policy?: Policy): Promise<void> {
    await this.core.putMany([...entries] as [string, unknown][], this.#ask(policy === undefined ? {} : { policy }));
  }

  /** Lists the keys of every tier that can list them, sorted; behind memory some may have expired. */
  async keys(prefix = ""): Promise<string[]> {
    return this.core.keys(prefix);
  }

  /** Deletes several keys from every tier. */
  async deleteMany(keys: Iterable<string>): Promise<void> {
    await this.core.deleteMany([...keys]);
  }

  /** The names of the tiers, nearest first. */
  get tierNames(): readonly string[] {
    return this.core.names;
  }

  /** Removes what can never be served again, and says how much there was. */
  async sweep(): Promise<number> {
    return this.core.sweep();
  }

  /** What happened so far. */
  stats(): Stats {
    return stats(this.core);
  }

  /** Closes the cache and its far stores. Later calls fail with `closed`. */
  async close(): Promise<void> {
    await this.core.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Opens a configuration: an object, a text in JSON, or the path of a `.json`, `.yaml` or `.toml` file. */
export function openCache(config: Config | string | URL, options: OpenOptions = {}): Cache {
  refuseUnknown(options, ["clock", "faults"], "openCache");
  const [text, syntax] = read(config);
  return new Cache(Core.open(text, syntax, options.clock?.native, options.faults ?? false));
}

function read(config: Config | string | URL): [string, string] {
  if (typeof config === "string" && config.trimStart().startsWith("{")) return [config, "json"];
  if (typeof config !== "string" && !(config instanceof URL)) return [JSON.stringify(config, refuseNaN), "json"];
  const path = config instanceof URL ? config.pathname : config;
  return [readFileSync(config, "utf8"), extname(path).slice(1)];
}

/** JSON has no NaN, and would write "none" for it, which means for ever. */
function refuseNaN(name: string, value: unknown): unknown {
  if (Number.isNaN(value)) throw invalid(`\`${name}\` in the configuration is not a number (NaN)`);
  return value;
}
