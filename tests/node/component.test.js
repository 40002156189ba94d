// The component on Node, as jco makes it: what `undercroft/component` gives.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cache, codecs, stats, store, testing } from "../../node/component/undercroft.js";
import { serve } from "./s3.js";

const MEMORY = JSON.stringify({ tiers: ["memory://"], policy: { ttl: "5m", stale: "1m" } });
const json = (document) => ({ bytes: new TextEncoder().encode(JSON.stringify(document)), codec: "json" });
const read = (entry) => JSON.parse(new TextDecoder().decode(entry.value.bytes));

let server;
let endpoint;

before(async () => {
  server = await serve();
  endpoint = server.endpointUrl;
});

after(() => server.stop());

test("one caller loads, the others are told so", () => {
  const opened = cache.Cache.open(MEMORY);
  const first = opened.begin("user:42");
  assert.equal(first.tag, "miss");
  assert.equal(opened.begin("user:42").tag, "busy");

  first.val.fulfil(json({ name: "Ada" }), undefined);

  const hit = opened.begin("user:42");
  assert.equal(hit.tag, "hit");
  assert.deepEqual(read(hit.val.entry), { name: "Ada" });
  assert.equal(hit.val.entry.freshUntil - hit.val.entry.createdAt, 300_000n);
  assert.equal(stats.events(opened).find((count) => count.event === "load").times, 1n);
});

test("a disposed lease goes to the next caller", () => {
  const opened = cache.Cache.open(MEMORY);
  const first = opened.begin("k");

  first.val[Symbol.dispose]();

  assert.equal(opened.begin("k").tag, "miss");
});

test("errors are records", () => {
  const opened = cache.Cache.open(MEMORY);
  const failure = (call) => {
    try {
      call();
    } catch (error) {
      return error.payload;
    }
    assert.fail("it throws");
  };

  assert.equal(failure(() => opened.get("")).code, "key-invalid");
  assert.match(failure(() => cache.Cache.open('{"tires": []}')).message, /did you mean `tiers`\?/);
  const lease = opened.begin("k").val;
  lease.fulfil(json(1), undefined);
  assert.equal(failure(() => lease.fulfil(json(2), undefined)).code, "lease-lost");
});

test("a tier that fails is a miss", () => {
  const opened = testing.open('{"tiers": ["memory://", "memory://"]}');
  testing.inject(opened, "l2", "get", { tag: "fail", val: "unavailable" }, 1);

  assert.equal(opened.get("k"), undefined);
  assert.equal(stats.tiers(opened)[1].errors, 1n);
});

test("json and msgpack", () => {
  const packed = codecs.transcode(json({ a: [1, null] }), "msgpack");
  assert.deepEqual([...packed.bytes], [0x81, 0xa1, 0x61, 0x92, 0x01, 0xc0]);
});

test("S3 over wasi:http", () => {
  const tier = `s3://bucket/cache?endpoint_url=${endpoint}&region=us-east-1&access_key_id=test&secret_access_key=testing-secret`;
  const open = () => cache.Cache.open(JSON.stringify({ tiers: ["memory://", tier], policy: { ttl: "1h" } }));
  const text = { bytes: new TextEncoder().encode("word ".repeat(50_000)), codec: "utf8" };
  open().put("k", text, undefined);

  const entry = open().get("k");

  assert.equal(entry.tier, "l2");
  assert.deepEqual(entry.value, text);
});

test("wasi:keyvalue", () => {
  const bucket = store.open("pages");
  bucket.set("k", new Uint8Array([1, 2]));

  assert.deepEqual(bucket.get("k"), new Uint8Array([1, 2]));
  assert.equal(store.open("others").get("k"), undefined);
});
