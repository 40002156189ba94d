/** Wrapping: from a function and its settings to one cached function. */
import { failed } from "./background.js";
import type { Core } from "./core.js";
import { durationText, isNone, type Duration } from "./duration.js";
import { invalid } from "./errors.js";
import { AUTO, own, plan, type Naming, type Plan } from "./keys.js";
import type { Held } from "./live.js";
import { Loads, type Judgement } from "./loads.js";
import { Ask } from "./ask.js";
import { asCore, resolve, type StoreLike } from "./stores.js";

/** How a function was answered. */
export interface CacheInfo {
  hits: number;
  misses: number;
  /** How many entries memory holds at most, and now. */
  maxsize: number | undefined;
  currsize: number | undefined;
  stale: number;
  loads: number;
  errors: number;
  /** What each tier was asked. */
  tiers: Record<string, TierStats>;
}

/** What a tier was asked, what it carried, and about what that costs in US dollars. */
export interface TierStats {
  hits: number;
  errors: number;
  writes: number;
  requests?: Record<string, number> | undefined;
  bytes_sent?: number | undefined;
  bytes_received?: number | undefined;
  retries?: number | undefined;
  timeouts?: number | undefined;
  refused?: number | undefined;
  opened?: number | undefined;
  cost?: number | undefined;
}

/** How one call differs from the others. */
export interface CallOptions {
  /** Ends the waiting of this call; the load goes on. */
  signal?: AbortSignal | undefined;
  /** Names of tiers that this call neither reads nor writes. */
  skip?: readonly string[] | undefined;
}

/** What a cached function offers beside being called. */
export interface Offers<F extends AnyFunction> {
  /** Deletes the entry of these arguments. It begins at once and may be awaited. */
  invalidate(...args: Parameters<F>): Promise<void>;
  /** Marks it as stale: it is served on until it ends, and the next call refreshes it. */
  expire(...args: Parameters<F>): Promise<void>;
  /** Loads anew, whatever the cache holds. */
  refresh(...args: Parameters<F>): ReturnType<F>;
  /** Returns the function for calls that leave tiers out. */
  skip(...tiers: string[]): (...args: Parameters<F>) => ReturnType<F>;
  /** Returns the function for calls with options. */
  with(options: CallOptions): (...args: Parameters<F>) => ReturnType<F>;
  /** Deletes every entry of this function. */
  clear(): Promise<void>;
  /** The key of a call. */
  keyFor(...args: Parameters<F>): string;
  /** How the function was answered. */
  cacheInfo(): CacheInfo;
  /** The store. */
  readonly store: StoreLike;
}

/** A function with a cache in front of it: what it was, and more. */
export type Cached<F extends AnyFunction> = F & Offers<F>;

export type AnyFunction = (...args: never[]) => unknown;

/** How a function is wrapped. */
export interface Settings extends Naming {
  ttl: Duration | null | Judgement["ttl"];
  store: StoreLike | (() => StoreLike) | undefined;
  cacheIf: Judgement["cacheIf"];
  /** The rest of the policy, in the names of the configuration. */
  policy: Record<string, Duration | null | undefined>;
  /** Whether calls end before they return. */
  isSync: boolean;
  /** Whether the function is a method, which needs its instance. */
  isMethod?: boolean | undefined;
  name?: string | undefined;
}

/** Says whether a ttl means that nothing is cached: zero or less. */
function passes(ttl: Settings["ttl"]): boolean {
  if (typeof ttl === "function" || ttl === null) return false;
  return ttl !== undefined && isNone(ttl);
}

const SHARES: ReadonlySet<string> = new Set(["jitter", "refresh_ahead"]);
const TIMED = ["soft_timeout", "hard_timeout", "lock_timeout"];

/** Puts a cache in front of a function. */
export function wrap<F extends AnyFunction>(fn: F, settings: Settings): Cached<F> {
  if (typeof fn !== "function") throw invalid(`only functions can be cached, not \`${fn === null ? "null" : typeof fn}\``);
  if (settings.ttl === undefined) throw invalid('`ttl` is missing: seconds, a text such as "5m", or `null` for ever');
  const keys = plan(fn, settings);
  const passing = passes(settings.ttl);
  const store = resolve(settings.store);
  const core = asCore(store);
  if (settings.key === AUTO) own(core, keys.prefix + String(settings.version ?? ""), fn);
  const ttl = typeof settings.ttl === "function" ? settings.ttl : undefined;
  const ask = question(ttl === undefined ? (settings.ttl as Duration | null) : null, settings.policy);
  if (settings.isSync) {
    const waits = core.waits;
    if (waits !== undefined)
      throw invalid(`a function that is not asynchronous cannot wait for a tier on \`${waits}\`: memory and directories answer at once`);
    const timed = TIMED.find((name) => settings.policy[name] !== undefined);
    if (timed !== undefined) throw invalid(`\`${timed}\` is for asynchronous functions: nobody can stop waiting for one that is not`);
  }
  const load = fn as unknown as (...args: readonly unknown[]) => unknown;
  const loads = new Loads(load, core, ask, { ttl, cacheIf: settings.cacheIf });
  const made = passing ? through(load, settings.isSync) : looking(keys, loads, settings.isSync);
  dress(made, fn, settings.name);
  return Object.assign(made, offered(keys, loads, store, settings)) as unknown as Cached<F>;
}

/** Makes the question of a function's calls. */
function question(ttl: Duration | null, policy: Settings["policy"]): Ask {
  const given = Object.entries(policy).filter(([, value]) => value !== undefined);
  const rest = given
    .map(([name, value]) => `,${JSON.stringify(name)}:${SHARES.has(name) ? JSON.stringify(value) : durationText(value)}`)
    .join("");
  return Ask.of(`{"ttl":${durationText(ttl)}${rest}}`);
}

/** Gives a function the name and the length of another, and what else was on it. */
function dress(made: object, fn: AnyFunction, name: string | undefined): void {
  Object.assign(made, fn);
  Object.defineProperty(made, "name", { value: name ?? fn.name, configurable: true });
  Object.defineProperty(made, "length", { value: fn.length, configurable: true });
}

const slice: (this: IArguments) => unknown[] = Array.prototype.slice;

type Call = (this: unknown, ...args: unknown[]) => unknown;

const PLAIN: ReadonlySet<string> = new Set(["number", "string", "bigint", "boolean"]);

/** Where a function finds its values by one argument, without making a key of it. */
class Memo {
  readonly held = new Map<unknown, Held>();

  constructor(readonly core: Core) {}

  add(argument: unknown, held: Held): void {
    if (!PLAIN.has(typeof argument)) return;
    // What has left memory is still here; not for long.
    if (this.held.size >= 2 * (this.core.near.index?.size ?? 0) + 1024) this.held.clear();
    this.held.set(argument, held);
  }
}

/** Calls that nothing is kept of. */
function through(load: (...args: readonly unknown[]) => unknown, isSync: boolean): Call {
  if (!isSync) {
    return async function (this: unknown, ...args: unknown[]) {
      return load.apply(this, args);
    };
  }
  return function (this: unknown, ...args: unknown[]) {
    return load.apply(this, args);
  };
}

/** Calls that look into the cache: they end with a promise, or, where `isSync` says so, before they return. */
function looking(keys: Plan, loads: Loads, isSync: boolean): Call {
  const { core, counts } = loads;
  const { single } = keys;
  const memo = new Memo(core);
  const look = (self: unknown, args: unknown[]): unknown => {
    const key = keys.of(args);
    const held = core.glance(key);
    if (held === undefined) return isSync ? loads.callNow(key, self, args) : loads.first(key, self, args);
    counts.hits++;
    if (single !== undefined && !core.clones) memo.add(args[single], held);
    return isSync ? core.lent(held.value) : Promise.resolve(core.lent(held.value));
  };
  const ask = isSync
    ? look
    : (self: unknown, args: unknown[]): unknown => {
        try {
          return look(self, args);
        } catch (error) {
          return Promise.reject(error);
        }
      };
  const known = memo.held;
  if (single === 0) {
    return function (this: unknown, argument: unknown) {
      const held = known.get(argument);
      if (held !== undefined && core.serves(held)) {
        counts.hits++;
        return isSync ? held.value : Promise.resolve(held.value);
      }
      // eslint-disable-next-line prefer-rest-params -- a rest parameter would cost every hit an array
      return ask(this, slice.call(arguments));
    };
  }
  return function (this: unknown, ...args: unknown[]) {
    return ask(this, args);
  };
}

/** Lets a promise be left alone: a failure is told, and awaiting it is not needed for that. */
function eventually<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  const promise = (async () => work())();
  promise.catch((error: unknown) => failed(error, what));
  return promise;
}

function offered(keys: Plan, loads: Loads, store: StoreLike, settings: Settings): object {
  const { core } = loads;
  const { isSync } = settings;
  const keyFor = (...args: unknown[]): string => keys.of(args);
  /** A method's loader needs its instance; the function that `refresh` was read from is none. */
  const refuseNoSelf = (self: unknown): void => {
    if (!settings.isMethod || (self !== undefined && (self as { keyFor?: unknown }).keyFor !== keyFor)) return;
    throw invalid("a method needs its instance here: take these from `offers(instance.method, instance)`");
  };
  const call = ({ signal, skip }: CallOptions): Call => {
    const unknown = skip?.find((name) => !core.names.includes(name));
    if (unknown !== undefined) throw invalid(`no tier is called \`${unknown}\`; there are ${core.names.join(", ")}`);
    if (signal !== undefined && isSync) throw invalid("a call that ends before it returns cannot be aborted");
    const ask = skip === undefined ? loads.ask : loads.ask.skipping(skip);
    return function (this: unknown, ...args: unknown[]) {
      refuseNoSelf(this);
      if (isSync) return loads.callNow(keys.of(args), this, args, ask);
      return eventuallyRejected(() => loads.call(keys.of(args), this, args, ask, signal));
    };
  };
  return {
    store,
    keyFor,
    invalidate: (...args: unknown[]) =>
      eventually("an invalidation failed", () => (isSync ? core.deleteNow(keyFor(...args)) : core.delete(keyFor(...args)))),
    expire: (...args: unknown[]) =>
      eventually("marking as stale failed", () => (isSync ? core.expireNow(keyFor(...args)) : core.expire(keyFor(...args)))),
    refresh(this: unknown, ...args: unknown[]) {
      refuseNoSelf(this);
      if (isSync) return loads.refreshNow(keyFor(...args), this, args);
      return eventuallyRejected(() => loads.refresh(keyFor(...args), this, args));
    },
    skip: (...tiers: string[]) => call({ skip: tiers }),
    with: call,
    clear: () => eventually("clearing failed", () => clear(keys, core, settings)),
    cacheInfo: () => info(loads),
  };
}

/** Makes a rejection of what is thrown before there is a promise. */
async function eventuallyRejected<T>(work: () => Promise<T>): Promise<T> {
  return work();
}

async function clear(keys: Plan, core: Core, settings: Settings): Promise<void> {
  if (keys.fixed !== undefined) {
    await core.delete(keys.fixed);
    return;
  }
  if (keys.prefix === "" && settings.store !== undefined) {
    throw invalid("nothing tells this function's keys from others in its store: clear the store, or begin the key template with a name");
  }
  await core.clear(keys.prefix);
}

function info({ core, counts }: Loads): CacheInfo {
  const usage = JSON.parse(core.native.nearUsage()) as { entries: number; max_entries: number } | null;
  return {
    hits: counts.hits,
    misses: counts.misses,
    maxsize: usage?.max_entries,
    currsize: usage?.entries,
    stale: counts.stale,
    loads: counts.loads,
    errors: counts.errors,
    tiers: stats(core).tiers,
  };
}

/** What happened in a cache. */
export interface Stats {
  tiers: Record<string, TierStats>;
  flights: number;
  [event: string]: number | Record<string, TierStats>;
}

/** Returns what happened in a cache, with the hits that needed no question. */
export function stats(core: Core): Stats {
  const stats = JSON.parse(core.native.stats()) as Stats;
  const near = stats.tiers[core.names[0] as string];
  if (core.hits > 0 && near !== undefined) {
    stats["hit"] = (stats["hit"] as number) + core.hits;
    near.hits += core.hits;
  }
  return stats;
}

/**
 * Returns what a cached function offers, for what TypeScript does not know to be one: a decorated method. With the instance,
 * `refresh`, `with` and `skip` call the method on it.
 *
 * @example
 * offers(api.report).invalidate("monday");
 * await offers(api.report, api).refresh("monday");
 */
export function offers<F extends AnyFunction>(fn: F, self?: object): Offers<F> {
  const own = fn as unknown as Offers<F>;
  if (typeof (own as Partial<Offers<F>>).keyFor !== "function") throw invalid(`\`${fn.name}\` is no cached function`);
  if (self === undefined) return own;
  type Called = (...args: Parameters<F>) => ReturnType<F>;
  const on =
    (call: Called): Called =>
    (...args) =>
      call.apply(self, args);
  return {
    ...own,
    refresh: (...args) => own.refresh.apply(self, args),
    skip: (...tiers) => on(own.skip(...tiers)),
    with: (options) => on(own.with(options)),
  };
}
