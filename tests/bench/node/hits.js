// What a hit costs: `node hits.js sync|async|native`, with medians in nanoseconds as JSON.
import { createCache } from "async-cache-dedupe";
import { BentoCache, bentostore } from "bentocache";
import { memoryDriver } from "bentocache/drivers/memory";
import { createCache as createManager } from "cache-manager";
import { Cacheable } from "cacheable";
import { LRUCache } from "lru-cache";
import pMemoize from "p-memoize";
import { ChainCache, InMemCache, TTLCache } from "undercroft";
import { forgetNear } from "undercroft/testing";
import { median, race } from "./measure.js";

const KEYS = 1000;
const ids = Array.from({ length: KEYS }, (_, i) => i);
const names = ids.map((i) => `user:${i}`);
const value = (i) => ({ id: i, name: "Ada" });

const benches = {
  async sync() {
    const lru = new LRUCache({ max: 10_000, ttl: 60_000 });
    for (const i of ids) lru.set(names[i], value(i));
    const byNumber = TTLCache.cachedSync("user:{}", { ttl: 60 })((id) => value(id));
    const byText = TTLCache.cachedSync("user:{}", { ttl: 60 })((id) => value(id));
    const byTwo = TTLCache.cachedSync("{}:{}", { ttl: 60 })((a, b) => value(a + b));
    for (const i of ids) (byNumber(i), byText(names[i]), byTwo(i, 7));
    return race(
      {
        "raw lru-cache with ttl": (i) => lru.get(names[i % KEYS]),
        "lru-cache, key made of a number": (i) => lru.get(`user:${i % KEYS}`),
        "undercroft cachedSync, a number": (i) => byNumber(i % KEYS),
        "undercroft cachedSync, a text": (i) => byText(names[i % KEYS]),
        "undercroft cachedSync, two arguments": (i) => byTwo(i % KEYS, 7),
      },
      { rounds: 25, calls: 200_000, isAsync: false },
    );
  },

  async async() {
    const fetching = new LRUCache({ max: 10_000, ttl: 60_000, fetchMethod: async (key) => value(key) });
    const ours = TTLCache.cached("user:{}", { ttl: 60 })(async (id) => value(id));
    const byText = TTLCache.cached("user:{}", { ttl: 60 })(async (id) => value(id));
    const memoized = pMemoize(async (id) => value(id), { cache: new Map() });
    const deduped = createCache({ ttl: 60, storage: { type: "memory", options: { size: 10_000 } } }).define("user", async (id) =>
      value(id),
    );
    const manager = createManager({ ttl: 60_000 });
    const bento = new BentoCache({ default: "memory", stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: 10_000 })) } });
    const cacheable = new Cacheable({ ttl: 60_000 });
    const wrapped = cacheable.wrap(async (id) => value(id), { ttl: 60_000, keyPrefix: "user" });
    const contenders = {
      "plain async function": async (i) => value(i % KEYS),
      "lru-cache fetch()": (i) => fetching.fetch(names[i % KEYS]),
      "undercroft cached, a number": (i) => ours(i % KEYS),
      "undercroft cached, a text": (i) => byText(names[i % KEYS]),
      "p-memoize": (i) => memoized(i % KEYS),
      "async-cache-dedupe": (i) => deduped.user(i % KEYS),
      "cache-manager wrap": (i) => manager.wrap(names[i % KEYS], async () => value(i)),
      "bentocache getOrSet": (i) => bento.getOrSet({ key: names[i % KEYS], ttl: "60s", factory: async () => value(i) }),
      "cacheable.wrap": (i) => wrapped(i % KEYS),
    };
    for (const call of Object.values(contenders)) for (const i of ids) await call(i);
    const times = await race(contenders, { rounds: 15, calls: 20_000, isAsync: true });
    await bento.disconnectAll();
    return times;
  },

  /** A hit in the second level, which is memory of the native library; the first has forgotten the key. */
  async native() {
    const chain = new ChainCache([
      [new InMemCache(), 60],
      [new InMemCache(), 3600],
    ]);
    const fn = TTLCache.cached("user:{}", { ttl: 60, cache: chain })(async (id) => value(id));
    for (const i of ids) await fn(i);
    const times = [];
    for (let round = 0; round < 45; round++) {
      for (const name of names) forgetNear(chain, name);
      const started = process.hrtime.bigint();
      for (const i of ids) await fn(i);
      times.push(Number(process.hrtime.bigint() - started) / KEYS);
    }
    const { hits } = fn.cacheInfo().tiers.l2;
    if (hits !== 45 * KEYS) throw new Error(`${hits} hits in the second level`);
    return { "hit in a native memory tier": median(times.slice(5)) };
  },
};

process.stdout.write(JSON.stringify(await benches[process.argv[2]]()));
