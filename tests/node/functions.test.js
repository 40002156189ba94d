// Functions with a cache in front of them.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import {
  CacheError,
  Cached,
  ChainCache,
  InMemCache,
  LocalFileCache,
  SWRCache,
  TTLCache,
  cache,
  offers,
  onBackgroundError,
  openCache,
  settled,
} from "undercroft";
import { block, deferred, turns, until } from "./waiting.js";

const counted = (options = { ttl: 60 }, key = "k:{}") => {
  const calls = [];
  const fn = TTLCache.cached(
    key,
    options,
  )(async (id) => {
    calls.push(id);
    return { id };
  });
  return { fn, calls };
};

test("a value is loaded once", async () => {
  const { fn, calls } = counted();

  assert.equal(await fn(7), await fn(7));

  assert.deepEqual(calls, [7]);
  const { hits, misses, loads, currsize } = fn.cacheInfo();
  assert.deepEqual([hits, misses, loads, currsize], [1, 1, 1, 1]);
});

test("500 concurrent calls on a cold key cause one load", async () => {
  let loads = 0;
  const gate = deferred();
  const fn = TTLCache.cached("k", { ttl: 60 })(async () => {
    loads++;
    await gate.promise;
    return {};
  });

  const calls = Array.from({ length: 500 }, () => fn());
  await turns();
  gate.resolve();
  const values = await Promise.all(calls);

  assert.equal(loads, 1);
  assert.equal(new Set(values).size, 1);
});

test("nothing is a value", async () => {
  for (const nothing of [null, undefined, 0, "", false]) {
    let loads = 0;
    const fn = TTLCache.cached("k", { ttl: 60 })(async () => (loads++, nothing));

    assert.equal(await fn(), nothing);
    assert.equal(await fn(), nothing);
    assert.equal(loads, 1);
  }
});

test("a loader's error is its caller's own object, and is not kept", async () => {
  class Odd extends Error {}
  const thrown = [];
  const fn = TTLCache.cached("k", { ttl: 60 })(async () => {
    thrown.push(new Odd("no"));
    throw thrown.at(-1);
  });

  await assert.rejects(fn(), (error) => error === thrown[0] && error instanceof Odd);
  await assert.rejects(fn(), (error) => error === thrown[1]);

  assert.equal(fn.cacheInfo().errors, 2);
});

test("who waits for a load that fails loads for itself", async () => {
  let loads = 0;
  const fn = TTLCache.cached("k", { ttl: 60 })(async () => {
    await turns();
    if (++loads === 1) throw new Error("no");
    return loads;
  });

  const results = await Promise.allSettled([fn(), fn(), fn()]);

  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
  assert.equal(loads, 2);
});

test("AsyncLocalStorage reaches the loader, and the refresh behind a stale value", async () => {
  const request = new AsyncLocalStorage();
  const seen = [];
  const fn = SWRCache.cached("k:{}", { ttl: 0.03, staleTtl: 60 })(async (_id) => {
    seen.push(request.getStore());
    await turns();
    seen.push(request.getStore());
  });

  await request.run("first", () => fn(1));
  block(50);
  await request.run("second", () => fn(1));
  await settled();

  assert.deepEqual(seen, ["first", "first", "second", "second"]);
  assert.equal(request.getStore(), undefined);
});

test("an AbortSignal cancels a waiter and not the flight", async () => {
  const gate = deferred();
  let loads = 0;
  const fn = TTLCache.cached("k", { ttl: 60 })(async () => {
    loads++;
    return gate.promise;
  });
  const [one, two] = [new AbortController(), new AbortController()];

  const holder = fn.with({ signal: one.signal })();
  const waiter = fn.with({ signal: two.signal })();
  const patient = fn();
  await turns();
  const reason = new Error("enough");
  one.abort(reason);
  two.abort();
  await assert.rejects(holder, (error) => error === reason);
  await assert.rejects(waiter, { name: "AbortError" });
  gate.resolve("value");

  assert.equal(await patient, "value");
  assert.equal(await fn(), "value");
  assert.equal(loads, 1);
});

test("a signal that is aborted before the call loads nothing", async () => {
  const { fn, calls } = counted();

  await assert.rejects(fn.with({ signal: AbortSignal.abort() })(1), { name: "AbortError" });

  assert.deepEqual(calls, []);
});

test("a load that goes on without its caller tells of its failure", async () => {
  const told = [];
  const before = onBackgroundError((error) => told.push(error.message));
  try {
    const gate = deferred();
    const fn = TTLCache.cached("k", { ttl: 60 })(() => gate.promise);
    const stop = new AbortController();
    const call = fn.with({ signal: stop.signal })();
    await turns();
    stop.abort();
    await assert.rejects(call);

    gate.reject(new Error("late"));
    await settled();
    await turns();

    assert.deepEqual(told, ["late"]);
  } finally {
    onBackgroundError(before);
  }
});

test("invalidate, expire, refresh, clear and keyFor", async () => {
  let loads = 0;
  const fn = SWRCache.cached("user:{}", { ttl: 60, staleTtl: 60 })(async (id) => `${id}-${++loads}`);
  await fn(1);
  assert.equal(fn.keyFor(1), "user:1");

  // Not awaited: in memory it is done when the call returns.
  fn.invalidate(1);
  assert.equal(await fn(1), "1-2");
  fn.expire(1);
  assert.equal(await fn(1), "1-2");
  await settled();
  assert.equal(await fn(1), "1-3");
  assert.equal(await fn.refresh(1), "1-4");
  assert.equal(await fn(1), "1-4");
  await fn(2);
  await fn.clear();

  assert.equal(fn.cacheInfo().currsize, 0);
});

test("an invalidation that fails is told, and ends no process when nobody awaits it", async () => {
  const told = [];
  const before = onBackgroundError((error, what) => told.push([error.code, what]));
  const broken = {
    get: () => undefined,
    set() {},
    exists: () => false,
    setIfNotExists: () => true,
    delete() {
      throw new Error("down");
    },
  };
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: broken })(async (id) => id);
  await fn(1);

  fn.invalidate(1);
  await assert.rejects(fn.invalidate(1), { code: "unavailable" });
  await turns();
  onBackgroundError(before);

  assert.deepEqual(told, [
    ["unavailable", "an invalidation failed"],
    ["unavailable", "an invalidation failed"],
  ]);
});

test("stale values come at once, and one call refreshes", async () => {
  let loads = 0;
  const gate = deferred();
  const fn = SWRCache.cached("k:{}", { ttl: 0.02, staleTtl: 60 })(async (_id) => {
    if (++loads > 1) await gate.promise;
    return loads;
  });
  await fn(1);
  block(40);

  assert.deepEqual(await Promise.all([fn(1), fn(1), fn(1)]), [1, 1, 1]);
  await until(() => loads === 2);
  gate.resolve();
  await settled();

  assert.equal(await fn(1), 2);
  assert.equal(loads, 2);
  assert.equal(fn.cacheInfo().stale, 3);
});

test("a refresh that fails is told, and the value stays", async () => {
  const told = [];
  const before = onBackgroundError((error, what) => told.push([error.message, what]));
  try {
    let loads = 0;
    const fn = SWRCache.cached("k", { ttl: 0.02, staleTtl: 60 })(async () => {
      if (++loads === 2) throw new Error("no");
      return loads;
    });
    await fn();
    block(40);

    assert.equal(await fn(), 1);
    await settled();

    // The old value is what the failed refresh gives: nothing is lost, and nothing to tell.
    assert.equal(fn.cacheInfo().errors, 1);
    assert.equal(await fn(), 1);
    await settled();
    assert.equal(await fn(), 3);
  } finally {
    onBackgroundError(before);
  }
});

test("a stale value stands in for a load that fails", async () => {
  let loads = 0;
  const fn = TTLCache.cached("k", { ttl: 0.02, staleIfError: 60 })(async () => {
    if (++loads > 1) throw new Error("no");
    return "old";
  });
  await fn();
  block(40);

  assert.equal(await fn(), "old");
  assert.equal(loads, 2);
});

test("timeouts: a stale value after the soft one, an error after the hard one; the load goes on", async () => {
  let gate = deferred();
  let loads = 0;
  const load = async () => {
    if (++loads > 1) await gate.promise;
    return loads;
  };
  const soft = TTLCache.cached("k", { ttl: 0.02, staleIfError: 60, softTimeout: 0.01 })(load);
  await soft();
  block(40);
  assert.equal(await soft(), 1);
  gate.resolve();
  await settled();
  assert.equal(await soft(), 2);

  gate = deferred();
  const hard = TTLCache.cached("k", { ttl: 60, hardTimeout: 0.02 })(load);
  await assert.rejects(hard(), { name: "CacheError", code: "timeout" });
  gate.resolve();
  await settled();
  assert.equal(await hard(), 3);
});

test("a loader that asks for its own key gets an error, also after it has waited", async () => {
  const own = TTLCache.cached("own:{}", { ttl: 60 })(async (id) => {
    await turns();
    return own(id);
  });
  const [first, second] = [
    TTLCache.cached("first", { ttl: 60 })(async () => (await turns(), second())),
    TTLCache.cached("second", { ttl: 60 })(async () => (await turns(), first())),
  ];

  await assert.rejects(own(1), { name: "CacheError", code: "conflict" });
  await assert.rejects(first(), { name: "CacheError", code: "conflict" });
});

test("a recursive function with other keys works", async () => {
  const fibonacci = TTLCache.cached("fib:{}", { ttl: 60 })(async (n) => (n < 2 ? n : (await fibonacci(n - 1)) + (await fibonacci(n - 2))));

  assert.equal(await fibonacci(40), 102334155);
});

test("ttl and cacheIf judge the value", async () => {
  let loads = 0;
  const load = async (value) => (loads++, value);
  const byValue = TTLCache.cached("a:{}", { ttl: (value) => (value > 1 ? "1h" : 0) })(load);
  const picky = TTLCache.cached("b:{}", { ttl: null, cacheIf: (value) => value > 1 })(load);

  for (const fn of [byValue, picky]) {
    loads = 0;
    (await fn(1), await fn(1), await fn(2), await fn(2));
    assert.equal(loads, 3);
  }
});

test("a ttl of zero passes every call through", async () => {
  for (const ttl of [0, -1, "0s"]) {
    const { fn, calls } = counted({ ttl });
    (await fn(1), await fn(1));
    assert.deepEqual(calls, [1, 1]);
  }
});

test("a version changes the key", async () => {
  const store = new InMemCache();
  const one = TTLCache.cached("k:{}", { ttl: 60, cache: store, version: 1 })(async (_id) => "one");
  const two = TTLCache.cached("k:{}", { ttl: 60, cache: store, version: 2 })(async (_id) => "two");

  assert.deepEqual([await one(1), await two(1), one.keyFor(1)], ["one", "two", "k:1@1"]);
});

test("functions keep their name, length, properties and `this`", async () => {
  const plain = Object.assign(
    async function named(a, b) {
      return [this?.name, a, b];
    },
    { note: "mine" },
  );
  const fn = TTLCache.cached("{}-{}", { ttl: 60 })(plain);

  assert.deepEqual([fn.name, fn.length, fn.note], ["named", 2, "mine"]);
  assert.deepEqual(await fn.call({ name: "self" }, 1, 2), ["self", 1, 2]);
});

test("functions that are not asynchronous", async () => {
  let loads = 0;
  const fn = SWRCache.cachedSync("k:{}", { ttl: 0.02, staleTtl: 60 })((id) => `${id}-${++loads}`);

  assert.equal(fn(1), "1-1");
  assert.equal(fn(1), "1-1");
  block(40);
  assert.equal(fn(1), "1-1");
  await turns();
  assert.equal(fn(1), "1-2");
  fn.invalidate(1);
  assert.equal(fn(1), "1-3");
  assert.equal(fn.refresh(1), "1-4");
  const thrown = new Error("no");
  const bad = TTLCache.cachedSync("k", { ttl: 60 })(() => {
    throw thrown;
  });
  assert.throws(bad, (error) => error === thrown);
  assert.throws(bad, (error) => error === thrown);
});

test("freshness ends on time while the thread is blocked", () => {
  let loads = 0;
  const fn = TTLCache.cachedSync("k:{}", { ttl: 0.05 })((_id) => ++loads);
  (fn(1), fn(1));

  block(80);

  assert.equal(fn(1), 2);
});

test("a call that cannot wait for an asynchronous load of the same key loads for itself", async () => {
  const store = new InMemCache();
  const gate = deferred();
  const slow = TTLCache.cached("k", { ttl: 60, cache: store })(() => gate.promise);
  const quick = TTLCache.cachedSync("k", { ttl: 60, cache: store })(() => "quick");
  const call = slow();
  await turns();

  assert.equal(quick(), "quick");
  gate.resolve("slow");

  assert.equal(await call, "slow");
  assert.equal(quick(), "quick");
});

test("skip leaves tiers out", async () => {
  const [near, far] = [new InMemCache(), new InMemCache()];
  let loads = 0;
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: new ChainCache([[near], [far]]) })(async (_id) => ++loads);
  await fn(1);
  await far.delete("k:1");

  assert.equal(await fn.skip("l1")(1), 2);
  assert.equal(await fn(1), 1);
  assert.throws(() => fn.skip("l9"), { code: "config_invalid" });
});

test("readers get copies where memory clones", async () => {
  const store = new InMemCache({ clone: true });
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: store })(async (_id) => ({ list: [1] }));

  for (const value of [await fn(1), await fn(1), await store.get("k:1")]) value.list.push(2);

  assert.deepEqual(await fn(1), { list: [1] });
  // What cannot be copied is the answer all the same, and is not kept.
  let loads = 0;
  const uncloneable = TTLCache.cached("f", { ttl: 60, cache: store })(async () => (loads++, () => 1));
  const [one, two] = await Promise.all([uncloneable(), uncloneable()]);
  assert.equal(one(), 1);
  assert.equal(two, one);
  await uncloneable();
  assert.equal(loads, 2);
  await assert.rejects(
    store.set("k", () => 1),
    { code: "unsupported", message: /cannot be copied/ },
  );
});

test("the one-symbol style makes keys of all arguments, and functions of one name do not share them", async () => {
  const store = new InMemCache();
  const wrap = cache("1h", { store });
  const one = wrap(async function load(a, b) {
    return ["one", a, b];
  });
  const two = wrap(async function load(a, b) {
    return ["two", a, b];
  });

  assert.deepEqual(
    [await one(1, { x: [2] }), await two(1, { x: [2] })],
    [
      ["one", 1, { x: [2] }],
      ["two", 1, { x: [2] }],
    ],
  );
  assert.equal(one.keyFor(1), one.keyFor(1, undefined));
  assert.equal(one.keyFor({ a: 1, b: 2 }), one.keyFor({ b: 2, a: 1 }));
  for (const other of ["1", 1n, [1], { 0: 1 }, true, null, new Date(1), new Map([[1, 1]]), new Set([1]), new Uint8Array([1]), -0, NaN]) {
    assert.notEqual(one.keyFor(1), one.keyFor(other));
  }
  const [a, b] = [new (class Thing {})(), new (class Thing {})()];
  assert.notEqual(one.keyFor(a), one.keyFor(b));
  assert.equal(one.keyFor(a), one.keyFor(a));
  await one.clear();
  assert.equal((await store.keys()).length, 1);
});

test("a cache that was opened from a configuration is a store too", async () => {
  const opened = openCache({ tiers: ["memory://?max_entries=10"], policy: { ttl: "5m" } });
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: opened })(async (id) => id);
  await fn(1);

  assert.equal(await opened.get("k:1"), 1);
});

test("a default store", async () => {
  const store = new InMemCache();
  const family = TTLCache.configure({ cache: store });
  await family.cached("k:{}", { ttl: 60 })(async (id) => id)(1);

  assert.equal(await store.get("k:1"), 1);
});

test("errors have the caller's stack", async () => {
  const closed = new InMemCache();
  await closed.close();
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: closed })(async (_id) => 1);
  async function theCaller() {
    return await fn(1);
  }

  await assert.rejects(theCaller(), (error) => error instanceof CacheError && error.code === "closed" && error.stack.includes("theCaller"));
});

test("a decorated method loads on its instance, also when it is refreshed", async () => {
  class Api {
    constructor(name) {
      this.name = name;
    }
    async report(day) {
      return `${this.name} on ${day}`;
    }
  }
  Api.prototype.report = Cached("r:{}", { ttl: 60 })(Api.prototype.report, { kind: "method", name: "report" });
  const api = new Api("mine");
  await api.report("monday");

  const offered = offers(api.report, api);
  assert.equal(await offered.refresh("monday"), "mine on monday");
  assert.equal(await offered.with({})("tuesday"), "mine on tuesday");
  assert.equal(await offered.skip("l1")("tuesday"), "mine on tuesday");
  assert.equal(await api.report.refresh.call(api, "monday"), "mine on monday");
  await offers(api.report).invalidate("monday");
  assert.equal(api.report.cacheInfo().loads, 5);
  const needs = { code: "config_invalid", message: /needs its instance/ };
  assert.throws(() => api.report.refresh("monday"), needs);
  assert.throws(() => api.report.with({})("monday"), needs);
  assert.throws(() => offers(async () => 1), { code: "config_invalid" });
});

test("functions of one text do not share default keys in one store", async () => {
  const store = new InMemCache();
  const traced =
    (fn) =>
    async (...args) =>
      fn(...args);
  cache(60, { store })(traced(async (id) => `user ${id}`));

  assert.throws(() => cache(60, { store })(traced(async (id) => `order ${id}`)), { code: "config_invalid", message: /share their keys/ });
  const [a, b] = ["a", "b"].map((name) => ({
    name,
    load: async function () {
      return this.name;
    },
  }));
  const [one, two] = [a, b].map((each) => cache(60, { store })(each.load.bind(each)));
  assert.deepEqual([await one(), await two()], ["a", "b"]);
});

test("a function that returns a promise is no cachedSync", async () => {
  let loads = 0;
  const fn = TTLCache.cachedSync("k", { ttl: 60 })(async () => {
    loads++;
    throw new Error("no");
  });

  assert.throws(fn, { code: "config_invalid", message: /returned a promise/ });
  assert.throws(fn, { code: "config_invalid" });
  assert.equal(loads, 2);
});

test("a value that a tier cannot encode is told once", async () => {
  const told = [];
  const before = onBackgroundError((error) => told.push(error.message));
  const own = new ChainCache([[new InMemCache()], [new LocalFileCache(mkdtempSync(join(tmpdir(), "undercroft-told-")))]]);
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: own })(async (_id) => ({ at: new Date(0) }));

  await fn(1);
  await fn(2);
  onBackgroundError(before);

  assert.equal(told.length, 1);
  assert.match(told[0], /cannot be encoded as `json`: a Date/);
});
