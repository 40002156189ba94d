// Loading in the background.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { BGCache, InMemCache, bg, onBackgroundError } from "undercroft";
import { turns, until } from "./waiting.js";

after(() => BGCache.shutdown());

test("a loader loads at once and then every interval", async () => {
  let loads = 0;
  const rates = BGCache.registerLoader("rates", { interval: 0.02 })(async () => ++loads);

  assert.ok((await rates()) >= 1);
  await until(() => loads >= 3);

  assert.ok((await rates()) >= 3);
  await BGCache.shutdown();
  const before = loads;
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.equal(loads, before);
});

test("a warm store is refreshed on schedule, and not at once", async () => {
  const store = new InMemCache();
  await store.set("k", "warm", 3600);
  let loads = 0;
  const fn = BGCache.registerLoader("k", { interval: "1h", cache: store })(async () => ++loads);
  await turns();

  assert.equal(await fn(), "warm");
  assert.equal(loads, 0);
  await BGCache.shutdown();
});

test("without runImmediately the first call loads", async () => {
  let loads = 0;
  const fn = BGCache.registerLoader("k", { interval: "1h", runImmediately: false })(async () => ++loads);
  await turns();
  assert.equal(loads, 0);

  assert.equal(await fn(), 1);
  await BGCache.shutdown();
});

test("on an error the last value is kept, and somebody is told", async () => {
  const told = [];
  let loads = 0;
  const fn = BGCache.registerLoader("k", { interval: 0.01, onError: (error) => told.push(error.message) })(async () => {
    if (++loads > 1) throw new Error("no");
    return "first";
  });
  assert.equal(await fn(), "first");

  await until(() => loads >= 3);

  assert.equal(await fn(), "first");
  await BGCache.shutdown();
  assert.ok(fn.cacheInfo().errors >= 2);
});

test("a first load that fails is told", async () => {
  const told = [];
  const own = [];
  const before = onBackgroundError((error) => told.push(error.message));
  BGCache.registerLoader("a", { interval: "1h" })(async () => {
    throw new Error("a");
  });
  BGCache.registerLoader("b", { interval: "1h", onError: (error) => own.push(error.message) })(async () => {
    throw new Error("b");
  });

  await until(() => told.length === 1 && own.length === 1);
  onBackgroundError(before);
  assert.deepEqual([told, own], [["a"], ["b"]]);
  await BGCache.shutdown();
});

test("one writer for a key; readers have a mirror of their own, and find the writer's store", async () => {
  let loads = 0;
  bg.write(0.01, { key: "shared" })(async () => ({ load: ++loads }));
  assert.throws(() => BGCache.registerWriter("shared", { interval: 1 })(async () => 1), {
    code: "config_invalid",
    message: /has a writer already/,
  });
  const reader = bg.read("shared");

  await until(async () => (await reader())?.load >= 3);
  await BGCache.shutdown();
  assert.equal(await bg.read("nowhere", { runImmediately: false })(), undefined);
  await BGCache.shutdown();
});

test("a reader reads from a store that others write", async () => {
  const store = new InMemCache();
  const reader = BGCache.getReader("k", { interval: 0.01, cache: store });
  assert.equal(await reader(), undefined);

  await store.set("k", "v");

  await until(async () => (await reader()) === "v");
  reader.stop();
  await BGCache.shutdown();
});

test("an interval of zero passes every call through", async () => {
  let loads = 0;
  const fn = BGCache.registerLoader("k", { interval: 0 })(async () => ++loads);

  assert.deepEqual([await fn(), await fn()], [1, 2]);
});

test("an onError that rejects ends no process", async () => {
  const told = [];
  const before = onBackgroundError((error) => told.push(error.message));
  bg(60, {
    key: "k",
    store: new InMemCache(),
    onError: async () => {
      throw new Error("telemetry");
    },
  })(async () => {
    throw new Error("load");
  });

  await until(() => told.length > 0);
  onBackgroundError(before);
  assert.deepEqual(told, ["telemetry"]);
  await BGCache.shutdown();
});
