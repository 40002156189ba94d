// The bridge between the core's threads and JavaScript: what it must survive, and what it must let go of.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cache, ChainCache, InMemCache, LocalFileCache, TTLCache } from "undercroft";
import { keptValues } from "undercroft/testing";
import { block, deferred, turns, until } from "./waiting.js";

/** A store of one's own that waits to be let on. */
class Slow {
  values = new Map();
  gate = Promise.resolve();

  async get(key) {
    await this.gate;
    return this.values.get(key);
  }
  async set(key, value) {
    await this.gate;
    this.values.set(key, value);
  }
  async delete(key) {
    await this.gate;
    this.values.delete(key);
  }
  exists(key) {
    return this.values.has(key);
  }
  setIfNotExists() {
    return false;
  }
}

test("what one chain deletes, no other that shares a tier serves from its own place", async () => {
  const shared = new InMemCache();
  const chain = new ChainCache([[new InMemCache(), 60], [shared]]);
  await shared.set("k", "old");
  assert.deepEqual([await shared.get("k"), await chain.get("k")], ["old", "old"]);

  await shared.delete("k");
  await chain.get("k");
  assert.deepEqual([await shared.get("k"), await shared.exists("k")], [undefined, false]);

  await shared.set("k", "new");
  await chain.get("k");
  assert.equal(await shared.get("k"), "new");
});

test("the late answer of a put serves nothing that has been replaced meanwhile", async () => {
  const chain = new ChainCache([[new InMemCache()], [new LocalFileCache(mkdtempSync(join(tmpdir(), "undercroft-late-")))]]);
  for (let round = 0; round < 20; round++) {
    const put = chain.set("k", "v1", 60);
    // It ends on another thread, and its answer waits to be taken; these replace the value twice, and its number is free.
    block(20);
    chain.setSync("k", "v2", 60);
    chain.setSync("k", "v3", 60);
    await put;

    assert.deepEqual([await chain.get("k"), chain.getSync("k")], ["v3", "v3"]);
  }
});

test("whatever prepares stack traces, answers are given", async () => {
  const closed = new ChainCache([[new Slow()]]);
  const before = Error.prepareStackTrace;
  const failing = new Slow();
  failing.delete = async () => {
    throw new Error("no");
  };
  const store = new ChainCache([[failing]]);
  try {
    Error.prepareStackTrace = (_, sites) => sites;
    await assert.rejects(store.delete("k"), { code: "unavailable" });
    Error.prepareStackTrace = () => {
      throw new Error("mine");
    };
    await assert.rejects(store.delete("k"));
  } finally {
    Error.prepareStackTrace = before;
  }
  await closed.set("k", 1);

  assert.equal(await closed.get("k"), 1);
});

test("a store may throw anything", async () => {
  for (const thrown of [undefined, null, 7, Object.create(null), Object.assign(new Error("x"), { message: {} }), Symbol("s")]) {
    const store = new Slow();
    store.get = () => {
      throw thrown;
    };
    const fn = TTLCache.cached("k", { ttl: 60, cache: store })(async () => "loaded");

    assert.equal(await fn(), "loaded");
  }
});

test("a lease whose value the core does not take goes to the next who waits", async () => {
  const odd = { encode: () => Object.create(Uint8Array.prototype), decode: String };
  const store = new LocalFileCache(mkdtempSync(join(tmpdir(), "undercroft-odd-")), { serializer: odd });
  const fn = TTLCache.cached("k", { ttl: 60, cache: store })(async () => "loaded");

  assert.deepEqual([await fn(), await fn()], ["loaded", "loaded"]);
  assert.equal(store.stats().flights, 0);
});

test("a value whose size cannot be reckoned is refused, and kept nowhere", async () => {
  const store = new InMemCache({ maxBytes: 1 << 20 });
  const before = keptValues();
  const bad = {
    get value() {
      throw new Error("mine");
    },
  };

  await assert.rejects(store.set("k", bad), { message: "mine" });

  assert.equal(keptValues(), before);
});

test("what nobody waits for any more is let go of", async () => {
  const slow = new Slow();
  const chain = new ChainCache([[slow]]);
  await chain.set("k", { n: 1 });
  const before = keptValues();
  const gate = deferred();
  slow.gate = gate.promise;
  const stop = new AbortController();
  const cache = new Cache([chain]);

  const read = cache.get("k", { signal: stop.signal });
  await turns();
  stop.abort();
  await assert.rejects(read, { name: "AbortError" });
  gate.resolve();

  await until(() => keptValues() <= before);
});

test("stores of one's own leave with the chains that used them", { skip: globalThis.gc === undefined && "needs --expose-gc" }, async () => {
  const gone = new Set();
  const registry = new FinalizationRegistry((name) => gone.add(name));
  await (async () => {
    for (let i = 0; i < 20; i++) {
      const store = new Slow();
      registry.register(store, i);
      await new ChainCache([[new InMemCache()], [store]]).set("k", i);
    }
  })();

  await until(async () => {
    globalThis.gc();
    await sleep(1);
    // The last may still be on the stack.
    return gone.size >= 19;
  });
});
