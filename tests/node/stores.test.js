// Stores: memory, directories, chains, and stores of one's own.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ChainCache, HybridCache, InMemCache, LocalFileCache, TTLCache, openCache, validateCacheStorage } from "undercroft";
import { forgetNear, keptValues } from "undercroft/testing";
import { block, turns, until } from "./waiting.js";

const folder = mkdtempSync(join(tmpdir(), "undercroft-stores-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));
const directory = (options) => new LocalFileCache(mkdtempSync(join(folder, "store-")), options);

/** A store as a user writes one. */
class Own {
  values = new Map();
  calls = [];

  get(key) {
    this.calls.push(["get", key]);
    return this.values.get(key);
  }
  async set(key, value, ttl) {
    this.calls.push(["set", key, ttl]);
    this.values.set(key, value);
  }
  delete(key) {
    this.values.delete(key);
  }
  exists(key) {
    return this.values.has(key);
  }
  setIfNotExists(key, value) {
    return !this.values.has(key) && (this.values.set(key, value), true);
  }
}

for (const [name, make] of [
  ["memory", () => new InMemCache()],
  ["a directory", () => directory()],
  [
    "a chain",
    () =>
      new ChainCache([
        [new InMemCache(), 60],
        [directory(), null],
      ]),
  ],
  ["a hybrid", () => new HybridCache({ l2Cache: directory() })],
  ["a store of one's own", () => new ChainCache([[new Own()]])],
]) {
  test(`${name}: the storage protocol`, async () => {
    const store = make();
    assert.ok(validateCacheStorage(store));

    await store.set("a", { n: 1 }, "1h");
    await store.set("b", null);
    assert.deepEqual([await store.get("a"), await store.get("b"), await store.get("c")], [{ n: 1 }, null, undefined]);
    assert.deepEqual([await store.exists("b"), await store.exists("c")], [true, false]);
    assert.deepEqual([await store.setIfNotExists("a", 2, 60), await store.setIfNotExists("c", 3, 60)], [false, true]);
    await store.setMany({ d: 4, e: 5 }, 60);
    assert.deepEqual(
      await store.getMany(["e", "x", "d"]),
      new Map([
        ["e", 5],
        ["d", 4],
      ]),
    );
    await store.delete("a");
    await store.deleteMany(["b", "d", "nowhere"]);
    assert.deepEqual(
      [...(await store.getMany(["a", "b", "c", "d", "e"]))],
      [
        ["c", 3],
        ["e", 5],
      ],
    );
    const entry = await store.getEntry("c");
    assert.equal(entry.value, 3);
    assert.ok(Math.abs(entry.freshUntil - entry.createdAt - 60) < 1);
  });
}

test("memory hands out the very object", async () => {
  const store = new InMemCache();
  const value = { fn: () => 1 };
  await store.set("k", value);

  assert.equal(await store.get("k"), value);
  assert.equal((await store.getEntry("k")).value, value);
  assert.equal(store.getSync("k"), value);
});

test("memory is bounded, keeps what is used, and lets go of the rest", async () => {
  const store = new InMemCache({ maxEntries: 100 });
  const before = keptValues();
  for (let i = 0; i < 50; i++) await store.set(`used:${i}`, { i });
  for (let i = 0; i < 2000; i++) {
    await store.set(`scan:${i}`, { i });
    await store.get(`used:${i % 50}`);
  }

  assert.ok(store.getMemoryUsage().entryCount <= 100);
  assert.ok(keptValues() - before <= 100);
  assert.ok((await store.getMany(Array.from({ length: 50 }, (_, i) => `used:${i}`))).size >= 45);
  assert.deepEqual(await store.get("scan:1999"), { i: 1999 });
});

test("memory counts bytes where it is told to", async () => {
  const store = new InMemCache({ maxBytes: 100_000 });
  for (let i = 0; i < 100; i++) await store.set(`k:${i}`, "x".repeat(10_000));

  const { bytesUsed, entryCount } = store.getMemoryUsage();
  assert.ok(bytesUsed <= 100_000 && entryCount < 11 && entryCount > 5);
});

test("what has ended leaves memory by itself", async () => {
  const store = new InMemCache();
  const before = keptValues();
  for (let i = 0; i < 100; i++) await store.set(`k:${i}`, { i }, 0.02);

  await until(() => store.getMemoryUsage().entryCount === 0);
  await until(() => keptValues() <= before);
});

test("values leave with the cache that held them", async () => {
  const before = keptValues();
  await (async () => {
    const store = new InMemCache();
    for (let i = 0; i < 100; i++) await store.set(`k:${i}`, { i });
  })();

  await until(async () => {
    globalThis.gc?.();
    await turns();
    return globalThis.gc === undefined || keptValues() <= before;
  });
});

test("clear stays inside its prefix", async () => {
  const store = new ChainCache([[new InMemCache()], [directory()]]);
  await store.setMany({ "a:1": 1, "a:2": 2, "b:1": 3 });
  await store.getMany(["a:1", "a:2", "b:1"]);

  assert.equal(await store.clear("a:"), 2);

  assert.deepEqual(await store.keys(), ["b:1"]);
  assert.deepEqual([await store.get("a:1"), await store.get("b:1")], [undefined, 3]);
});

test("a chain reads from the first that answers, and fills those before it", async () => {
  const [near, far] = [new InMemCache(), directory()];
  const chain = new ChainCache([[near, 60], [far]]);
  await far.set("k", { n: 1 }, 3600);

  assert.deepEqual(await chain.get("k"), { n: 1 });
  const entry = await near.getEntry("k");

  assert.equal(await chain.get("k"), entry.value);
  assert.ok(entry.freshUntil * 1000 - Date.now() <= 60_000);
});

test("a delete through one chain is seen by every store of it", async () => {
  const [near, middle] = [new InMemCache(), new InMemCache()];
  const chain = new ChainCache([[near], [middle]]);
  await chain.set("k", 1);
  await Promise.all([near, middle].map((store) => store.get("k")));

  await chain.delete("k");

  assert.deepEqual([await near.get("k"), await middle.get("k")], [undefined, undefined]);
});

test("a chain whose second level is memory serves what that holds", async () => {
  const [near, far] = [new InMemCache(), new InMemCache()];
  const chain = new ChainCache([[near], [far]]);
  const value = {};
  await far.set("k", value);
  await chain.set("other", value);

  assert.equal(await chain.get("k"), value);
  forgetNear(chain, "other");
  assert.equal(await chain.get("other"), value);
  assert.equal(await far.get("other"), value);
});

test("levels have limits; a hybrid needs its second level", async () => {
  assert.throws(() => new HybridCache({}), { code: "config_invalid", message: /`l2Cache` is required/ });
  assert.throws(() => ChainCache.build([new InMemCache()], { ttls: [1, 2] }), { code: "config_invalid" });
  const chain = ChainCache.build([new InMemCache(), new InMemCache()], { ttls: ["20ms", null] });
  await chain.set("k", 1, 60);
  block(40);

  assert.equal(await chain.get("k"), 1);
  assert.equal(chain.stats().tiers.l2.hits, 1);
});

test("files are what any tool can read", async () => {
  const root = mkdtempSync(join(folder, "plain-"));
  const store = new LocalFileCache(root);
  await store.set("k", { n: 1 });

  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = files.map((file) => readFileSync(join(file.parentPath ?? file.path, file.name), "utf8"));
  assert.ok(texts.some((text) => text.includes('{"n":1}')));
  assert.deepEqual(store.getSync("k"), { n: 1 });
  await store.close();
  await assert.rejects(store.get("k"), { name: "CacheError", code: "closed" });
});

test("a directory is shared by processes, and by compressed and plain stores", async () => {
  const root = mkdtempSync(join(folder, "shared-"));
  const [plain, packed] = [new LocalFileCache(root), new LocalFileCache(root, { compress: true, serializer: "msgpack" })];
  const value = { text: "word ".repeat(1000), bytes: new Uint8Array([1, 2]) };
  await packed.set("k", value);

  // Bytes that were read are Buffers, which are Uint8Arrays.
  assert.deepEqual(await plain.get("k"), { ...value, bytes: Buffer.from([1, 2]) });
});

test("a store of one's own gets values, whole seconds, and is asked once for many", async () => {
  const own = new Own();
  let loads = 0;
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: own })(async (id) => (loads++, { id }));

  const [a, b] = await Promise.all([fn(1), fn(1)]);

  assert.equal(a, b);
  assert.equal(loads, 1);
  assert.deepEqual(own.calls, [
    ["get", "k:1"],
    ["set", "k:1", 60],
  ]);
  assert.deepEqual(await fn(1), { id: 1 });
});

test("a store of one's own that keeps entries keeps their deadlines", async () => {
  class Keeping extends Own {
    getEntry(key) {
      return this.values.get(key);
    }
    setEntry(key, entry) {
      this.values.set(key, entry);
    }
  }
  const own = new Keeping();
  const chain = new ChainCache([[new InMemCache()], [own]]);
  await chain.set("k", "v", 60);

  const entry = own.values.get("k");
  assert.equal(entry.value, "v");
  assert.ok(Math.abs(entry.freshUntil - Date.now() / 1000 - 60) < 1);
  forgetNear(chain, "k");
  assert.equal((await chain.getEntry("k")).freshUntil, entry.freshUntil);
});

test("a store of one's own that fails is a miss, and the result is served", async () => {
  const own = new Own();
  own.get = async () => {
    throw new Error("down");
  };
  own.set = () => {
    throw new Error("down");
  };
  const chain = new ChainCache([[new InMemCache()], [own]]);
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: chain })(async (id) => id);

  assert.equal(await fn(1), 1);
  assert.equal(await fn(1), 1);
  const { read_failed, write_failed, tiers } = chain.stats();
  assert.deepEqual([read_failed, write_failed, tiers.l2.errors], [1, 1, 2]);
});

test("a value that a tier cannot encode stays in memory, and is counted", async () => {
  const chain = new ChainCache([[new InMemCache()], [directory()]]);
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: chain })(async (_id) => ({ big: 1n }));

  assert.deepEqual(await fn(1), { big: 1n });
  assert.deepEqual(await fn(1), { big: 1n });
  assert.equal(chain.stats().encode_failed, 1);
});

test("the verbs: a lease, its spare value, a claim", async () => {
  const cache = openCache({ tiers: ["memory://"], policy: { ttl: "20ms", stale: "1h" } });
  const found = await cache.begin("k");
  assert.deepEqual([found.state, found.hasValue, found.lease.key], ["miss", false, "k"]);
  await cache.fulfil(found.lease, "v1");
  await assert.rejects(async () => cache.fulfil(found.lease, "again"), { code: "lease_lost" });
  block(40);

  const stale = await cache.begin("k");
  assert.deepEqual([stale.state, stale.value, stale.lease.spare.value], ["stale", "v1", "v1"]);
  assert.equal(cache.claim("k"), undefined);
  assert.equal((await cache.begin("k")).lease, undefined);
  stale.lease.drop();
  const lease = cache.claim("k");
  assert.equal(cache.fail(lease), undefined);
  await cache.close();
  await assert.rejects(cache.get("k"), { code: "closed" });
});

test("a lease that is forgotten goes to the next who waits", { skip: globalThis.gc === undefined && "needs --expose-gc" }, async () => {
  const cache = openCache({ tiers: ["memory://"] });
  await (async () => void (await cache.begin("k")))();

  const next = cache.begin("k");
  let found;
  next.then((one) => (found = one));
  await until(async () => {
    globalThis.gc();
    await turns();
    return found !== undefined;
  });

  assert.equal(found.state, "miss");
});
