// Object storage, against an S3 server that somebody else wrote.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { ChainCache, InMemCache, S3Cache, SWRCache, TTLCache, openCache, settled } from "undercroft";
import { KeyvUndercroft } from "undercroft/keyv";
import { forgetNear } from "undercroft/testing";
import { BUCKET, serve } from "./s3.js";
import { block, until } from "./waiting.js";

let server;
before(async () => {
  server = await serve();
});
after(() => server.stop());

let count = 0;
const bucket = (options = {}) => new S3Cache(BUCKET, { prefix: `t${++count}/`, ...server.options, ...options });

for (const [serializer, value] of [
  ["json", { n: [1, -2.5, null, true], é: { empty: "" } }],
  ["msgpack", { bytes: Buffer.from([0, 255]), big: 2 ** 40, n: [1, -2.5, null, true] }],
  ["raw", Buffer.from([0, 1, 255])],
  ["utf8", "wörd"],
  ["v8", { map: new Map([[1, new Date(7)]]), set: new Set([1n]) }],
  [{ encode: (value) => Buffer.from(value.join(",")), decode: (bytes) => String(Buffer.from(bytes)).split(",") }, ["a", "b"]],
]) {
  for (const compress of [false, true, "zstd"]) {
    test(`${typeof serializer === "string" ? serializer : "a codec of one's own"}, compressed: ${compress}`, async () => {
      const store = bucket({ serializer, compress });
      await store.set("k", value, 60);

      assert.deepEqual(await store.get("k"), value);
      assert.deepEqual((await store.getMany(["k", "x"])).get("k"), value);
    });
  }
}

test("the body is plain content under exactly prefix and key", async () => {
  const store = bucket();
  await store.set("a/b.json", { text: "word ".repeat(100) }, 60);

  const body = readFileSync(join(server.folder, BUCKET, `t${count}`, "a", "b.json"));
  assert.deepEqual(JSON.parse(gunzipSync(body)), { text: "word ".repeat(100) });
});

test("memory before a bucket: one load for all, and what memory forgets the bucket has", async () => {
  let loads = 0;
  const chain = new ChainCache([[new InMemCache(), 60], [bucket()]]);
  const fn = TTLCache.cached("user:{id}", { ttl: 3600, cache: chain, params: ["id"] })(async (id) => (loads++, { id }));

  const values = await Promise.all(Array.from({ length: 100 }, () => fn(7)));
  forgetNear(chain, "user:7");
  const again = await fn(7);

  assert.equal(loads, 1);
  assert.deepEqual([values[0], again], [{ id: 7 }, { id: 7 }]);
  assert.equal(await fn(7), again);
  assert.equal(fn.cacheInfo().tiers.l2.hits, 1);
});

test("a stale value of a bucket comes at once, and is refreshed", async () => {
  let loads = 0;
  const fn = SWRCache.cached("k", { ttl: 0.03, staleTtl: 60, cache: bucket() })(async () => ++loads);
  await fn();
  block(50);

  assert.equal(await fn(), 1);
  await settled();
  assert.equal(loads, 2);
});

test("many values, and one by one", async () => {
  const store = bucket({ serializer: "raw" });
  const entries = Array.from({ length: 200 }, (_, i) => [`k:${i}`, Buffer.alloc(100, i)]);
  await store.setMany(entries, 60);

  const found = await store.getMany(entries.map(([key]) => key));
  assert.equal(found.size, 200);
  assert.deepEqual(found.get("k:7"), Buffer.alloc(100, 7));
  assert.equal((await store.keys()).length, 200);
  assert.equal(await store.clear(), 200);
  assert.equal((await store.getMany(["k:1", "k:2"])).size, 0);
});

test("conditional puts: the first wins", async () => {
  const store = bucket();

  // One after another: this server itself looks before it writes, so that two at a time may both find nothing.
  const won = [await store.setIfNotExists("k", 1, 60), await store.setIfNotExists("k", 2, 60)];

  assert.deepEqual(won, [true, false]);
  assert.equal(await store.get("k"), 1);
});

test("bytes that were put may be changed afterwards", async () => {
  const store = bucket({ serializer: "raw", compress: false });
  const bytes = Buffer.alloc(200_000, 1);
  const put = store.set("k", bytes, 60);
  bytes.fill(2);
  await put;

  const found = await store.get("k");
  assert.equal(found[0], 1);
  found.fill(3);
  assert.equal((await store.get("k"))[0], 1);
});

test("a configuration, with a bucket behind memory", async () => {
  const { endpointUrl, region, accessKeyId, secretAccessKey } = server.options;
  const tier = {
    url: `s3://${BUCKET}/configured`,
    endpoint_url: endpointUrl,
    region,
    access_key_id: accessKeyId,
    secret_access_key: secretAccessKey,
  };
  const cache = openCache({ tiers: ["memory://", tier], policy: { ttl: "1h" } });
  await cache.put("k", { n: 1 });

  assert.deepEqual((await cache.entry("k", { skip: ["l1"] })).value, { n: 1 });
  await cache.close();
});

test("Keyv over a bucket", async () => {
  const store = new KeyvUndercroft(bucket());
  await store.set("k", '{"value":1}', 60_000);
  await store.setMany([
    { key: "a", value: "1", ttl: 1000 },
    { key: "b", value: "2" },
  ]);

  assert.equal(await store.get("k"), '{"value":1}');
  assert.deepEqual(await store.hasMany(["a", "b", "c"]), [true, true, false]);
  const all = [];
  for await (const entry of store.iterator()) all.push(entry);
  assert.deepEqual(all, [
    ["a", "1"],
    ["b", "2"],
    ["k", '{"value":1}'],
  ]);
  assert.equal(await store.deleteMany(["a", "c"]), true);
  await store.clear();
  assert.equal(await store.get("b"), undefined);
});

// A server that answers nothing at all.
async function silent() {
  const open = new Set();
  const server = createServer(() => undefined).listen(0, "127.0.0.1");
  server.on("connection", (socket) => open.add(socket));
  await new Promise((resolve) => server.once("listening", resolve));
  const stop = () => {
    for (const socket of open) socket.destroy();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, connections: open, stop };
}

test("a tier that hangs is a miss after its timeout, and the result is served", async () => {
  const hung = await silent();
  const store = bucket({ endpointUrl: hung.url, timeout: "50ms", retries: 0 });
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: new ChainCache([[new InMemCache()], [store]]) })(async (id) => id);

  assert.equal(await fn(1), 1);
  assert.equal(await fn(1), 1);
  hung.stop();
});

test("an AbortSignal ends the waiting for a tier", async () => {
  const hung = await silent();
  const store = bucket({ endpointUrl: hung.url, timeout: "1h", retries: 0 });
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: store })(async (id) => id);
  const stop = new AbortController();

  const call = fn.with({ signal: stop.signal })(1);
  await until(() => hung.connections.size > 0);
  stop.abort();

  await assert.rejects(call, { name: "AbortError" });
  hung.stop();
});
