/** Wrapping single calls: `TTLCache`, `SWRCache`, `cache`, which is both, and `Cached`, for methods. */
import type { Duration } from "./duration.js";
import { invalid } from "./errors.js";
import { wrap, type AnyFunction, type Cached as CachedFunction, type Settings } from "./function.js";
import { AUTO } from "./keys.js";
import type { TtlOf } from "./loads.js";
import { refuseUnknown } from "./options.js";
import type { StoreLike } from "./stores.js";

/** Settings that every wrapper has. */
export interface CommonOptions<T = unknown> {
  /** A store, a cache, or a function that makes one; by default a new `InMemCache`. */
  cache?: StoreLike | (() => StoreLike) | undefined;
  /** The names of the parameters, for placeholders with names. Without them these are read from an object, the first argument. */
  params?: readonly string[] | undefined;
  /** What placeholders with names stand for where a call leaves their arguments out: JavaScript does not tell a parameter's own default. */
  defaults?: Readonly<Record<string, unknown>> | undefined;
  /** Says of a value whether it is stored. */
  cacheIf?(value: T): boolean;
  /** Becomes part of the key: changed code drops old entries by another version. */
  version?: string | number | undefined;
  /** The largest share of `ttl` by which lives are shortened at random, 0 to 1. */
  jitter?: number | undefined;
  /** The share of a life after which one call has it refreshed in the background. */
  refreshAhead?: number | undefined;
  /** For how long after `ttl` a value is kept for when a load fails. */
  staleIfError?: Duration | undefined;
  /** For how long a call waits for a load when such a value is at hand; the load goes on. */
  softTimeout?: Duration | undefined;
  /** For how long a call waits for a load at all; the load goes on. */
  hardTimeout?: Duration | undefined;
  /** For how long a call waits for another call's load. */
  lockTimeout?: Duration | undefined;
}

/** Settings of `TTLCache.cached`. */
export interface TTLOptions<T = unknown> extends CommonOptions<T> {
  /** For how long a value is fresh: seconds, a text such as `"5m"`, `null` for ever, or a function of the value. Zero or less passes every call through. */
  ttl: Duration | null | TtlOf<T>;
}

/** Settings of `SWRCache.cached`. */
export interface SWROptions<T = unknown> extends TTLOptions<T> {
  /** For how long after `ttl` values are served at once while one call refreshes them in the background. */
  staleTtl?: Duration | undefined;
}

/** Settings of `cache`. */
export interface CacheOptions<T = unknown> extends CommonOptions<T> {
  /** A template or a function. By default all arguments make the key, in the function's own namespace. */
  key?: KeyOf | undefined;
  /** For how long after `ttl` values are served at once while one call refreshes them in the background. */
  stale?: Duration | undefined;
  /** Another name of `cache`. */
  store?: StoreLike | (() => StoreLike) | undefined;
}

/** Settings of `Cached`. */
export interface MethodOptions<T = unknown> extends TTLOptions<T> {
  stale?: Duration | undefined;
}

/** A template such as `"user:{}"` or `"{tenant}/{user.id:08d}"`, or a function of the call's arguments. */
export type KeyOf<A extends unknown[] = unknown[]> = string | KeyFunction<A>["make"];

/** As a method, so that it may say what it takes. */
interface KeyFunction<A extends unknown[]> {
  make(...args: A): string;
}

type AsyncFunction = (...args: never[]) => PromiseLike<unknown>;
type ValueOf<F extends AnyFunction> = Awaited<ReturnType<F>>;

/** Wraps a function; what it takes and returns stays what it is. */
export type Wrapper = <F extends AsyncFunction>(fn: F) => CachedFunction<F>;
/** Wraps a function that is no asynchronous one. */
export type SyncWrapper = <F extends AnyFunction>(fn: F) => CachedFunction<F>;

const COMMON = [
  "cache",
  "params",
  "defaults",
  "cacheIf",
  "version",
  "jitter",
  "refreshAhead",
  "staleIfError",
  "softTimeout",
  "hardTimeout",
  "lockTimeout",
];

type Given = Partial<CommonOptions> & { ttl?: TTLOptions["ttl"]; stale?: Duration | undefined; store?: CommonOptions["cache"] | undefined };

function settings(key: Settings["key"], given: Given, isSync: boolean): Settings {
  return {
    key,
    params: given.params,
    defaults: given.defaults,
    version: given.version,
    ttl: given.ttl,
    store: given.cache ?? given.store,
    cacheIf: given.cacheIf,
    isSync,
    policy: {
      stale: given.stale ?? 0,
      jitter: given.jitter,
      refresh_ahead: given.refreshAhead,
      stale_if_error: given.staleIfError,
      soft_timeout: given.softTimeout,
      hard_timeout: given.hardTimeout,
      lock_timeout: given.lockTimeout,
    },
  };
}

/** What a configured family takes its store from. */
export interface Defaults {
  cache?: CommonOptions["cache"] | undefined;
}

/** Keeps results for a time. */
export interface TTLFamily {
  /**
   * Caches an asynchronous function's results for `ttl`.
   *
   * @throws {CacheError} `config_invalid`, when wrapping: the template names what the function does not take, or a setting is wrong.
   */
  cached(key: KeyOf, options: TTLOptions): Wrapper;
  /** Caches the results of a function that is no asynchronous one; its tiers are memory and directories. */
  cachedSync(key: KeyOf, options: TTLOptions): SyncWrapper;
  /** Returns the same with a default store. */
  configure(defaults: Defaults): TTLFamily;
}

/** Keeps results for a time, and serves them a while longer while one call refreshes them in the background. */
export interface SWRFamily {
  /** Caches an asynchronous function's results for `ttl`, and serves them stale for `staleTtl` more. */
  cached(key: KeyOf, options: SWROptions): Wrapper;
  /** The same for a function that is no asynchronous one. */
  cachedSync(key: KeyOf, options: SWROptions): SyncWrapper;
  /** Returns the same with a default store. */
  configure(defaults: Defaults): SWRFamily;
}

function ttlFamily(defaults: Defaults): TTLFamily {
  const make = (place: string, isSync: boolean) => (key: KeyOf, options: TTLOptions) => {
    refuseUnknown(options, ["ttl", ...COMMON], place);
    return <F extends AnyFunction>(fn: F) => wrap(fn, settings(key, { ...options, cache: options.cache ?? defaults.cache }, isSync));
  };
  return {
    cached: make("TTLCache.cached", false),
    cachedSync: make("TTLCache.cachedSync", true),
    configure: (given) => ttlFamily(checkedDefaults(given, "TTLCache.configure")),
  };
}

function swrFamily(defaults: Defaults): SWRFamily {
  const make = (place: string, isSync: boolean) => (key: KeyOf, options: SWROptions) => {
    refuseUnknown(options, ["ttl", "staleTtl", ...COMMON], place);
    const { staleTtl, ...rest } = options;
    return <F extends AnyFunction>(fn: F) =>
      wrap(fn, settings(key, { ...rest, cache: rest.cache ?? defaults.cache, stale: staleTtl ?? 0 }, isSync));
  };
  return {
    cached: make("SWRCache.cached", false),
    cachedSync: make("SWRCache.cachedSync", true),
    configure: (given) => swrFamily(checkedDefaults(given, "SWRCache.configure")),
  };
}

/** Checks what a family is configured with. */
export function checkedDefaults(given: Defaults, place: string): Defaults {
  refuseUnknown(given, ["cache"], place);
  return given;
}

/** Keeps results for a time. */
export const TTLCache: TTLFamily = ttlFamily({});

/** Keeps results for a time, and serves them a while longer while one call refreshes them in the background. */
export const SWRCache: SWRFamily = swrFamily({});

/** Caches an asynchronous function's results: the one-symbol style. */
export function cache(ttl: TTLOptions["ttl"], options: CacheOptions = {}): Wrapper {
  refuseUnknown(options, ["key", "stale", "store", ...COMMON], "cache");
  const { key, ...rest } = options;
  return (fn) => wrap(fn, settings(key ?? AUTO, { ...rest, ttl }, false));
}

/** A method decorator of the standard (TC39, stage 3), for methods that return promises. */
export type MethodDecorator = <This, A extends unknown[], R>(
  method: (this: This, ...args: A) => Promise<R>,
  context: ClassMethodDecoratorContext<This, (this: This, ...args: A) => Promise<R>>,
) => (this: This, ...args: A) => Promise<R>;

/** A method decorator for methods that return no promises. */
export type SyncMethodDecorator = <This, A extends unknown[], R>(
  method: (this: This, ...args: A) => R,
  context: ClassMethodDecoratorContext<This, (this: This, ...args: A) => R>,
) => (this: This, ...args: A) => R;

/** Caches a method's results. The instance is not part of the key: all share one cache, unless the key says what tells them apart. */
export function Cached(key: KeyOf, options: MethodOptions): MethodDecorator {
  return decorator("Cached", key, options, false) as MethodDecorator;
}

/** Caches the results of a method that returns no promise. */
export function CachedSync(key: KeyOf, options: MethodOptions): SyncMethodDecorator {
  return decorator("CachedSync", key, options, true) as SyncMethodDecorator;
}

function decorator(place: string, key: KeyOf, options: MethodOptions, isSync: boolean): unknown {
  refuseUnknown(options, ["ttl", "stale", ...COMMON], place);
  return (method: AnyFunction, context: { kind?: unknown } | undefined) => {
    if (context?.kind !== "method")
      throw invalid(`\`${place}\` decorates methods, with the standard's decorators (TypeScript without \`experimentalDecorators\`)`);
    return wrap(method, { ...settings(key, options, isSync), isMethod: true });
  };
}

export type { CachedFunction, ValueOf };
