/** Loading in the background, on a schedule: `BGCache`, and `bg`, its one-symbol style. */
import { background, failed, settled } from "./background.js";
import type { Core } from "./core.js";
import { checkedDefaults, type Defaults } from "./decorators.js";
import { seconds, type Duration } from "./duration.js";
import { invalid } from "./errors.js";
import { wrap, type Cached } from "./function.js";
import { Fixed } from "./keys.js";
import { refuseUnknown } from "./options.js";
import { asCore, InMemCache, lookedUp, resolve, type StoreLike } from "./stores.js";

/** Is called with what a load throws. */
export type OnError = (error: unknown) => unknown;

/** Settings of a background loader. */
export interface LoaderOptions {
  /** The time between two loads; zero or less passes every call through. */
  interval: Duration;
  /** For how long a value is fresh; by default twice the interval. */
  ttl?: Duration | null | undefined;
  /** Whether it is loaded now, if the store has nothing fresh. */
  runImmediately?: boolean | undefined;
  /** Is called with what a load throws; the last value is kept. */
  onError?: OnError | undefined;
  /** A store, a cache, or a function that makes one; by default a new `InMemCache`. */
  cache?: StoreLike | (() => StoreLike) | undefined;
  /** Another name of `cache`. */
  store?: StoreLike | (() => StoreLike) | undefined;
}

/** Settings of a reader. */
export interface ReaderOptions {
  /** The time between two looks at the store; by default the writer's, else 60 seconds. */
  interval?: Duration | undefined;
  /** For how long the mirror is good; by default twice the interval. */
  ttl?: Duration | null | undefined;
  /** Whether the mirror is filled now. */
  runImmediately?: boolean | undefined;
  /** Is called with what a look throws. */
  onError?: OnError | undefined;
  /** The store; in the writer's own process its store is found too. */
  cache?: StoreLike | (() => StoreLike) | undefined;
  /** Another name of `cache`. */
  store?: StoreLike | (() => StoreLike) | undefined;
}

/** Reads a private mirror of what a writer wrote; `undefined` where there is nothing. */
export interface Reader<T = unknown> {
  (): Promise<T | undefined>;
  /** Looks at the store no more. */
  stop(): void;
}

/** For how long the last value is kept when refreshes fail: as good as for ever. */
const YEARS = 10 * 365 * 86_400;
const READS_EVERY = 60;
const NOTHING: unique symbol = Symbol("nothing");

type LoadFunction<T> = () => Promise<T> | T;

/** One thing that is done every so often, until it is stopped. It keeps no process alive. */
class Job {
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isRunning = false;

  constructor(
    readonly run: () => Promise<void>,
    readonly interval: number,
  ) {}

  /** Starts after `delay` seconds, and then every interval. */
  start(delay: number): void {
    if (this.#isStopped) return;
    // Longer than a timer can take: it counts on from there.
    const wait = Math.min(delay * 1000, 2 ** 31 - 1);
    this.#timer = setTimeout(() => {
      if (delay * 1000 > wait) return this.start(delay - wait / 1000);
      this.start(this.interval);
      if (this.#isRunning) return;
      this.#isRunning = true;
      void background(this.run()).finally(() => (this.#isRunning = false));
    }, wait);
    this.#timer.unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }
}

/** One function that is loaded on a schedule. */
class Loader<T> {
  readonly core: Core;
  readonly cached: Cached<LoadFunction<T>>;
  readonly interval: number;
  readonly job: Job;
  readonly #onError: OnError | undefined;

  constructor(
    fn: LoadFunction<T>,
    readonly key: string,
    options: LoaderOptions,
  ) {
    if (typeof key !== "string") throw invalid("the key of a loader is a text");
    if (options.interval === undefined) throw invalid('`interval` is missing: seconds, or a text such as "5m"');
    this.interval = typeof options.interval === "number" ? options.interval : seconds(options.interval);
    const ttl = options.ttl === undefined ? this.interval * 2 : seconds(options.ttl);
    const passing = !(this.interval > 0) || !(ttl > 0);
    const store = resolve(options.cache);
    this.core = asCore(store);
    this.#onError = options.onError;
    const named = { key: new Fixed(key), params: undefined, defaults: undefined, version: undefined, name: fn.name };
    const policy = { stale: 0, stale_if_error: YEARS };
    this.cached = wrap(fn, { ...named, ttl: passing ? 0 : ttl, store, cacheIf: undefined, policy, isSync: false });
    this.job = new Job(() => this.#refresh(), this.interval);
    if (!passing) void background(this.#begin(options.runImmediately ?? true));
  }

  /** Loads at once where the store has nothing fresh, and starts the schedule. */
  async #begin(runImmediately: boolean): Promise<void> {
    let created: number | undefined;
    try {
      const found = await lookedUp(this.core, this.key, false);
      if (found?.isFresh === true) created = found.createdAt / 1000;
    } catch (error) {
      // A store that is down must not keep the program from starting.
      this.#failed(error);
    }
    // Due when a warm store's value has the age of one interval.
    const age = created === undefined ? 0 : Math.max(0, Date.now() / 1000 - created);
    this.job.start(Math.min(this.interval, Math.max(0, this.interval - age)));
    if (runImmediately && created === undefined) await this.#refresh();
  }

  async #refresh(): Promise<void> {
    try {
      await this.cached.refresh();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    tell(this.#onError, error, `the background load of \`${this.key}\` failed`);
  }
}

function tell(onError: OnError | undefined, error: unknown, what: string): void {
  if (onError === undefined) return failed(error, what);
  const told = async (): Promise<unknown> => onError(error);
  told().catch((thrown: unknown) => failed(thrown, `\`onError\` failed (${what})`));
}

const loaders = new Map<Core, Map<string, Loader<unknown>>>();
const writers = new Map<string, Loader<unknown>>();
const readers = new Set<Job>();

const LOADER = ["interval", "ttl", "runImmediately", "onError", "cache", "store"];

function loaded<T>(fn: LoadFunction<T>, key: string, options: LoaderOptions): Cached<() => Promise<T>> {
  const loader = new Loader(fn, key, options);
  const own = loaders.get(loader.core) ?? new Map<string, Loader<unknown>>();
  // It takes the place of what was loaded under this key in this store.
  own.get(key)?.job.stop();
  own.set(key, loader);
  loaders.set(loader.core, own);
  return loader.cached as Cached<() => Promise<T>>;
}

function written<T>(fn: LoadFunction<T>, key: string, options: LoaderOptions): Cached<() => Promise<T>> {
  if (writers.has(key)) throw invalid(`\`${key}\` has a writer already`);
  const writer = new Loader(fn, key, options);
  writers.set(key, writer);
  return writer.cached as Cached<() => Promise<T>>;
}

function mirrored<T>(key: string, options: ReaderOptions): Reader<T> {
  const source = options.cache === undefined ? undefined : asCore(resolve(options.cache));
  const interval = options.interval === undefined ? (writers.get(key)?.interval ?? READS_EVERY) : seconds(options.interval);
  const ttl = options.ttl === undefined ? interval * 2 : seconds(options.ttl);
  const look = async (): Promise<unknown> => {
    const writer = writers.get(key)?.core;
    for (const core of new Set([source, writer])) {
      const found = core === undefined ? undefined : await lookedUp(core, key, false);
      if (found !== undefined) return found.value;
    }
    return NOTHING;
  };
  const mirror = wrap(look, {
    key: new Fixed(key),
    params: undefined,
    defaults: undefined,
    version: undefined,
    ttl: interval > 0 ? ttl : 0,
    store: new InMemCache({ maxEntries: 1 }),
    cacheIf: (value: unknown) => value !== NOTHING,
    policy: { stale: 0, stale_if_error: YEARS },
    isSync: false,
  });
  const told = (error: unknown): undefined => void tell(options.onError, error, `the read of \`${key}\` failed`);
  const renew = async (): Promise<void> => {
    await mirror.refresh().catch(told);
  };
  const job = new Job(renew, interval);
  if (interval > 0 && ttl > 0) {
    readers.add(job);
    job.start(interval);
    if (options.runImmediately ?? true) void background(renew());
  }
  const read = async (): Promise<T | undefined> => {
    const value = await mirror().catch(told);
    return value === NOTHING ? undefined : (value as T | undefined);
  };
  const stop = (): void => {
    job.stop();
    readers.delete(job);
  };
  return Object.assign(read, { stop });
}

/** Loads in the background on a schedule, so that callers find a value and do not wait for one. */
export interface BGFamily {
  /** Loads a function without parameters every `interval`. */
  registerLoader(key: string, options: LoaderOptions): <T>(fn: LoadFunction<T>) => Cached<() => Promise<T>>;
  /** The same as the one writer of `key` in this process, whom readers find. */
  registerWriter(key: string, options: LoaderOptions): <T>(fn: LoadFunction<T>) => Cached<() => Promise<T>>;
  /** Returns a function that reads a private mirror of what the writer wrote. */
  getReader<T = unknown>(key: string, options?: ReaderOptions): Reader<T>;
  /** Stops all loading in the background, and waits for what runs. */
  shutdown(): Promise<void>;
  /** Returns the same with a default store. */
  configure(defaults: Defaults): BGFamily;
}

/** Returns options with the store that is meant: `cache`, `store`, or the family's. */
function given<T extends LoaderOptions | ReaderOptions>(defaults: Defaults, { store, cache, ...options }: T): Omit<T, "store"> {
  return { ...options, cache: cache ?? store ?? defaults.cache } as Omit<T, "store">;
}

function family(defaults: Defaults): BGFamily {
  return {
    registerLoader: (key, options) => {
      refuseUnknown(options, LOADER, "BGCache.registerLoader");
      return (fn) => loaded(fn, key, given(defaults, options));
    },
    registerWriter: (key, options) => {
      refuseUnknown(options, LOADER, "BGCache.registerWriter");
      return (fn) => written(fn, key, given(defaults, options));
    },
    getReader: (key, options = {}) => {
      refuseUnknown(options, LOADER, "BGCache.getReader");
      return mirrored(key, given(defaults, options));
    },
    shutdown: async () => {
      for (const loader of [...writers.values(), ...[...loaders.values()].flatMap((own) => [...own.values()])]) loader.job.stop();
      for (const job of readers) job.stop();
      writers.clear();
      loaders.clear();
      readers.clear();
      await settled();
    },
    configure: (given) => family(checkedDefaults(given, "BGCache.configure")),
  };
}

/** Loads in the background on a schedule, so that callers find a value and do not wait for one. */
export const BGCache: BGFamily = family({});

/** The one-symbol style of `BGCache`: `bg("5m", { key: "rates" })(load)`, `bg.write`, `bg.read`, `bg.shutdown`. */
export const bg = Object.assign(
  (interval: Duration, { key, ...options }: Omit<LoaderOptions, "interval"> & { key: string }) =>
    BGCache.registerLoader(key, { ...options, interval }),
  {
    write: (interval: Duration, { key, ...options }: Omit<LoaderOptions, "interval"> & { key: string }) =>
      BGCache.registerWriter(key, { ...options, interval }),
    read: <T = unknown>(key: string, options: ReaderOptions = {}) => BGCache.getReader<T>(key, options),
    shutdown: () => BGCache.shutdown(),
  },
);
