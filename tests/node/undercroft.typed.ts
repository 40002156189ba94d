// What the types of `undercroft` say: this file is checked, and never run.
import { expectTypeOf } from "expect-type";
import {
  BGCache,
  Cache,
  CacheError,
  Cached,
  CachedSync,
  ChainCache,
  HybridCache,
  InMemCache,
  LocalFileCache,
  S3Cache,
  SWRCache,
  TTLCache,
  bg,
  cache,
  offers,
  openCache,
  type CacheEntry,
  type CacheStorage,
  type Config,
  type ErrorCode,
  type Found,
  type Lease,
} from "undercroft";
import { KeyvUndercroft } from "undercroft/keyv";
import { ManualClock, openTestCache } from "undercroft/testing";

interface User {
  id: number;
  name: string;
}
declare function load(id: number): Promise<User>;

// A wrapped function keeps its parameters and its result.
const getUser = TTLCache.cached("user:{id}", { ttl: 60, params: ["id"] })(async (id: number) => load(id));
expectTypeOf(getUser).toBeCallableWith(42);
expectTypeOf(getUser).parameters.toEqualTypeOf<[id: number]>();
expectTypeOf(getUser(42)).toEqualTypeOf<Promise<User>>();
expectTypeOf(getUser.invalidate).parameters.toEqualTypeOf<[id: number]>();
expectTypeOf(getUser.invalidate(42)).toEqualTypeOf<Promise<void>>();
expectTypeOf(getUser.refresh(42)).toEqualTypeOf<Promise<User>>();
expectTypeOf(getUser.with({ signal: AbortSignal.timeout(1) })(42)).toEqualTypeOf<Promise<User>>();
expectTypeOf(getUser.skip("l1")(42)).toEqualTypeOf<Promise<User>>();
expectTypeOf(getUser.keyFor(42)).toBeString();
expectTypeOf(getUser.cacheInfo().hits).toBeNumber();
// @ts-expect-error the parameter is a number
void getUser("42");
// @ts-expect-error one argument is needed
void getUser.invalidate();

// Optional, rest and generic parameters stay what they are.
const many = cache("5m")(async (first: string, second?: boolean, ...rest: number[]) => [first, second, ...rest]);
expectTypeOf(many).parameters.toEqualTypeOf<[first: string, second?: boolean, ...rest: number[]]>();
const generic = SWRCache.cached("k:{}", { ttl: "1h", staleTtl: 300 })(async <T>(value: T): Promise<T[]> => [value]);
expectTypeOf(generic("a")).toEqualTypeOf<Promise<string[]>>();

// A function that is no asynchronous one stays so.
const sync = TTLCache.cachedSync("k:{}", { ttl: null })((n: number): string => String(n));
expectTypeOf(sync(1)).toEqualTypeOf<string>();
expectTypeOf(sync.refresh(1)).toEqualTypeOf<string>();
// @ts-expect-error only asynchronous functions
TTLCache.cached("k", { ttl: 1 })((n: number) => n);

// Options are checked.
// @ts-expect-error there is no such option
TTLCache.cached("k", { ttl: 60, stale: 5 });
// @ts-expect-error a ttl is needed
TTLCache.cached("k", {});
TTLCache.cached("k", { ttl: (user: User) => user.id, cacheIf: (user: User) => user.id > 0 })(load);
TTLCache.cached((id: number) => `user:${id}`, { ttl: 60, cache: () => new InMemCache({ maxEntries: 10 }) })(load);
TTLCache.cached((user: User) => `user:${user.id}`, { ttl: 60, jitter: undefined })(async (user: User) => user);
TTLCache.cached("k", { ttl: 60, cacheIf: (value) => value !== null })(load);
new LocalFileCache("x", {
  serializer: { encode: (user: User) => Buffer.from(user.name), decode: (bytes) => ({ id: 0, name: String(bytes) }) },
});
expectTypeOf(offers(getUser).invalidate).parameters.toEqualTypeOf<[id: number]>();
TTLCache.configure({ cache: new InMemCache() }).cached("k:{}", { ttl: 1 })(load);

// Methods.
class Api {
  @Cached("report:{}", { ttl: "1h", stale: "5m" })
  async report(day: string): Promise<{ day: string }> {
    return { day };
  }

  @CachedSync("double:{}", { ttl: 60 })
  double(n: number): number {
    return n * 2;
  }
}
expectTypeOf(new Api().report("x")).toEqualTypeOf<Promise<{ day: string }>>();
expectTypeOf(new Api().double(1)).toEqualTypeOf<number>();
class Wrong {
  // @ts-expect-error a method that returns no promise
  @Cached("k", { ttl: 1 })
  plain(): number {
    return 1;
  }
}
void Wrong;

// Stores.
const chain = new ChainCache([
  [new InMemCache({ maxBytes: 1 << 20 }), 60],
  [new S3Cache("bucket", { region: "eu-west-1", serializer: "msgpack" }), null],
  [new LocalFileCache("x")],
]);
expectTypeOf(chain.get<User>("k")).toEqualTypeOf<Promise<User | undefined>>();
expectTypeOf(chain.get("k")).toEqualTypeOf<Promise<unknown>>();
expectTypeOf(chain.getMany<User>(["k"])).toEqualTypeOf<Promise<Map<string, User>>>();
expectTypeOf(chain.getEntry<User>("k")).toEqualTypeOf<Promise<CacheEntry<User> | undefined>>();
new HybridCache({ l2Cache: chain, l1Ttl: "1m" });
// @ts-expect-error the second level is needed
new HybridCache({});
// @ts-expect-error there is no such codec
new S3Cache("bucket", { serializer: "pickle" });
// @ts-expect-error a key is a string
void chain.get(7);
const own: CacheStorage = { get: async () => 1, set: () => undefined, delete() {}, exists: () => true, setIfNotExists: async () => false };
new ChainCache([[own, 60]]);
// @ts-expect-error methods are missing
new ChainCache([[{ get: () => 1 }]]);

// The verbs.
const config: Config = {
  namespace: "shop",
  tiers: ["memory://", { url: "file://x", max_ttl: "1h" }],
  policy: { ttl: "5m", stale_if_error: 3600 },
};
const opened = openCache(config);
expectTypeOf(opened).toEqualTypeOf<Cache>();
const found = await opened.begin<User>("k");
expectTypeOf(found).toEqualTypeOf<Found<User>>();
expectTypeOf(found.state).toEqualTypeOf<"miss" | "hit" | "stale" | "busy">();
expectTypeOf(found.value).toEqualTypeOf<User>();
expectTypeOf(found.lease).toEqualTypeOf<Lease | undefined>();
new Cache([new InMemCache()], { ttl: 60, refreshAhead: 0.8 });

// The background.
const rates = BGCache.registerLoader("rates", { interval: "5m" })(async () => ({ eur: 1 }));
expectTypeOf(rates()).toEqualTypeOf<Promise<{ eur: number }>>();
expectTypeOf(bg.read<User>("users")()).toEqualTypeOf<Promise<User | undefined>>();

// Errors.
try {
  await opened.get("k");
} catch (error) {
  if (error instanceof CacheError) {
    expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
    expectTypeOf(error.tier).toEqualTypeOf<string | undefined>();
    expectTypeOf(error.retryable).toBeBoolean();
  }
}

new KeyvUndercroft(chain);
new KeyvUndercroft(config);
openTestCache(config, new ManualClock());
