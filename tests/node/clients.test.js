// What is built on Keyv works on our stores: cache-manager, cacheable, got.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { createCache } from "cache-manager";
import { Cacheable } from "cacheable";
import got from "got";
import Keyv from "keyv";
import { ChainCache, InMemCache } from "undercroft";
import { KeyvUndercroft } from "undercroft/keyv";

test("Keyv: values, namespaces, deadlines, iteration", async () => {
  const store = new InMemCache();
  const [users, orders] = ["users", "orders"].map((namespace) => new Keyv({ store: new KeyvUndercroft(store), namespace }));
  await users.set("1", { name: "Ada" }, 60_000);
  await orders.set("1", { total: 7 });

  assert.deepEqual([await users.get("1"), await orders.get("1")], [{ name: "Ada" }, { total: 7 }]);
  assert.deepEqual(await store.keys(), ["orders:1", "users:1"]);
  const entries = [];
  for await (const entry of users.iterator()) entries.push(entry);
  assert.deepEqual(entries, [["1", { name: "Ada" }]]);
  await users.clear();
  assert.deepEqual(await store.keys(), ["orders:1"]);
  const deadline = (await store.getEntry("orders:1")).freshUntil;
  assert.equal(deadline, Infinity);
});

test("Keyv is told of a store that fails, and goes on", async () => {
  const closed = new InMemCache();
  await closed.close();
  const keyv = new Keyv({ store: new KeyvUndercroft(closed) });
  const told = [];
  keyv.on("error", (error) => told.push(error.code));

  assert.equal(await keyv.get("k"), undefined);
  assert.deepEqual(told, ["closed"]);
});

test("a Keyv store from a configuration is closed with its Keyv, a store that was given is not", async () => {
  const given = new InMemCache();
  const own = new Keyv({ store: new KeyvUndercroft({ tiers: ["memory://"] }) });
  await own.set("k", 1);
  assert.equal(await own.get("k"), 1);
  await own.disconnect();
  await new Keyv({ store: new KeyvUndercroft(given) }).disconnect();

  await given.set("k", 1);
  assert.equal(await given.get("k"), 1);
});

test("cache-manager", async () => {
  const manager = createCache({
    stores: [new Keyv({ store: new KeyvUndercroft(new ChainCache([[new InMemCache()], [new InMemCache()]])) })],
  });
  let loads = 0;
  const load = async () => ({ n: ++loads });

  assert.deepEqual([await manager.wrap("k", load, 60_000), await manager.wrap("k", load, 60_000)], [{ n: 1 }, { n: 1 }]);
  await manager.mset([
    { key: "a", value: 1 },
    { key: "b", value: 2 },
  ]);
  assert.deepEqual(await manager.mget(["a", "b", "c"]), [1, 2, undefined]);
  await manager.del("a");
  await manager.clear();
  assert.equal(await manager.get("b"), undefined);
});

test("cacheable", async () => {
  const cacheable = new Cacheable({
    primary: new Keyv({ store: new KeyvUndercroft() }),
    secondary: new Keyv({ store: new KeyvUndercroft() }),
  });
  await cacheable.set("k", { n: 1 }, "1h");

  assert.deepEqual(await cacheable.get("k"), { n: 1 });
  assert.equal(await cacheable.delete("k"), true);
  assert.equal(await cacheable.get("k"), undefined);
});

test("got keeps responses", async () => {
  let requests = 0;
  const server = createServer((_request, response) => {
    response.setHeader("Cache-Control", "max-age=60");
    response.end(`answer ${++requests}`);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const cache = new KeyvUndercroft();

  const [first, second] = [await got(url, { cache }), await got(url, { cache })];
  server.close();

  assert.deepEqual([first.body, second.body, second.isFromCache, requests], ["answer 1", "answer 1", true, 1]);
});

test("Keyv: keys that are too long for a store, and the policy of a configuration", async () => {
  const adapter = new KeyvUndercroft({ tiers: ["memory://"], policy: { ttl: "20ms" } });
  const keyv = new Keyv({ store: adapter, namespace: "n" });
  const [one, two] = ["a", "b"].map((end) => `GET:http://x/?${"q".repeat(2000)}${end}\n`);
  await keyv.set(one, 1, 60_000);
  await keyv.set(two, 2, 60_000);
  await keyv.set("short", 3);

  assert.deepEqual([await keyv.get(one), await keyv.get(two), await keyv.has(one)], [1, 2, true]);
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(await adapter.get("n:short"), undefined);
  await keyv.clear();
  assert.equal(await keyv.get(one), undefined);
});
