// Bad input gets a clear error that names the thing.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  BGCache,
  Cache,
  CacheError,
  Cached,
  ChainCache,
  GCSCache,
  InMemCache,
  LocalFileCache,
  S3Cache,
  SWRCache,
  TTLCache,
  cache,
  openCache,
} from "undercroft";
import { KeyvUndercroft } from "undercroft/keyv";

const folder = mkdtempSync(join(tmpdir(), "undercroft-bad-"));
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));

const invalid = (message) => ({ name: "CacheError", code: "config_invalid", message });
const load = async (id) => id;

for (const [what, make, message] of [
  ["TTLCache.cached", () => TTLCache.cached("k", { tll: 60 }), /unknown option `tll` of `TTLCache.cached`; did you mean `ttl`\?/],
  ["SWRCache.cached", () => SWRCache.cached("k", { ttl: 60, stale_ttl: 1 }), /unknown option `stale_ttl`.*did you mean `staleTtl`\?/],
  ["TTLCache.configure", () => TTLCache.configure({ cahce: 1 }), /did you mean `cache`\?/],
  ["cache", () => cache(60, { staleness: 1 }), /unknown option `staleness` of `cache`/],
  ["Cached", () => Cached("k", { tll: 1 }), /did you mean `ttl`\?/],
  ["BGCache.registerLoader", () => BGCache.registerLoader("k", { intervall: 1 }), /did you mean `interval`\?/],
  ["InMemCache", () => new InMemCache({ maxEntires: 1 }), /did you mean `maxEntries`\?/],
  ["LocalFileCache", () => new LocalFileCache(folder, { compres: true }), /did you mean `compress`\?/],
  ["S3Cache", () => new S3Cache("bucket", { regoin: "x" }), /did you mean `region`\?/],
  ["GCSCache", () => new GCSCache("bucket", { tokne: "x" }), /did you mean `token`\?/],
  ["Cache", () => new Cache([new InMemCache()], { stael: 1 }), /did you mean `stale`\?/],
  ["a configuration", () => openCache({ tires: [] }), /unknown key `tires`.*did you mean `tiers`\?/],
  [
    "a tier",
    () => openCache({ tiers: ["memory://?max_entires=1"] }),
    /unknown key `max_entires` in tier `l1`; did you mean `max_entries`\?/,
  ],
]) {
  test(`${what}: an unknown option is refused with a suggestion`, () => {
    assert.throws(make, invalid(message));
  });
}

for (const [what, make, message] of [
  ["no ttl", () => TTLCache.cached("k", {})(load), /`ttl` is missing/],
  ["a ttl that is none", () => TTLCache.cached("k", { ttl: "soon" })(load), /`ttl`/],
  ["a ttl that is no number", () => TTLCache.cached("k", { ttl: NaN })(load), /NaN/],
  ["a ttl of another kind", () => TTLCache.cached("k", { ttl: {} })(load), /not `object`/],
  ["jitter beyond 1", () => TTLCache.cached("k", { ttl: 1, jitter: 2 })(load), /`jitter`/],
  ["a share below zero", () => TTLCache.cached("k", { ttl: 1, jitter: -1 })(load), /`jitter`/],
  ["a loader without an interval", () => BGCache.registerLoader("k", {})(load), /`interval` is missing/],
  ["NaN in a configuration", () => openCache({ tiers: ["memory://"], policy: { ttl: NaN } }), /`ttl` in the configuration is not a number/],
  ["no function", () => TTLCache.cached("k", { ttl: 1 })("load"), /only functions can be cached, not `string`/],
  ["a key of another kind", () => TTLCache.cached(7, { ttl: 1 })(load), /a key is a template or a function, not `number`/],
  ["params that are none", () => TTLCache.cached("k:{id}", { ttl: 1, params: "id" })(load), /`params` must be a list/],
  ["no store", () => TTLCache.cached("k", { ttl: 1, cache: { get() {} } })(load), /is no cache store: it has no method `set`/],
  ["a decorator on no method", () => Cached("k", { ttl: 1 })(load, { kind: "field" }), /decorates methods/],
  ["entries that are none", () => new InMemCache({ maxEntries: 0 }), /`maxEntries` must be a whole number/],
  ["an empty bucket", () => new S3Cache(""), /`bucket` must be the name of a bucket/],
  ["a level that is none", () => new S3Cache("b", { compressLevel: 12 }), /`compressLevel` must be from 1 to 9/],
  ["a serializer that is none", () => new S3Cache("b", { serializer: "jsno" }), /unknown serializer `jsno`; did you mean `json`\?/],
  ["a serializer without decode", () => new S3Cache("b", { serializer: { encode() {} } }), /`encode` and `decode`/],
  ["a chain that is no list", () => new ChainCache(new InMemCache()), /a list of pairs/],
  [
    "a waiting tier under a function that cannot wait",
    () => TTLCache.cachedSync("k", { ttl: 1, cache: new S3Cache("b", { region: "x" }) })(load),
    /cannot wait for a tier on `s3`/,
  ],
  [
    "timeouts of a function that cannot wait",
    () => TTLCache.cachedSync("k", { ttl: 1, hardTimeout: 1 })(load),
    /`hard_timeout` is for asynchronous functions/,
  ],
]) {
  test(`${what} is refused`, () => {
    assert.throws(make, invalid(message));
  });
}

test("a key that is no string is refused, and not made one", async () => {
  const store = new InMemCache();
  for (const key of [1, null, undefined, {}, ["k"], Symbol("k")]) {
    const refused = { name: "CacheError", code: "key_invalid", message: /must be a string, not/ };
    await assert.rejects(store.get(key), refused);
    await assert.rejects(store.set(key, 1), refused);
    await assert.rejects(store.delete(key), refused);
    await assert.rejects(store.getMany(["ok", key]), refused);
    await assert.rejects(store.setMany([[key, 1]]), refused);
    assert.throws(() => store.getSync(key), refused);
    await assert.rejects(new Cache([store]).begin(key), refused);
  }
  for (const key of ["", "a\nb", "x".repeat(1025), "\0", "a\ud800"]) await assert.rejects(store.set(key, 1), { code: "key_invalid" });
});

const circle = {};
circle.self = circle;
for (const [what, value, name] of [
  ["BigInt", { n: 1n }, "BigInt"],
  ["a circle", circle, "circle"],
  ["a function", { fn() {} }, "function"],
  ["a symbol", [Symbol("s")], "symbol"],
  ["a Map", { map: new Map() }, "Map"],
  ["a Set", [new Set()], "Set"],
  ["bytes", { bytes: new Uint8Array(1) }, "Uint8Array"],
  ["undefined", undefined, "undefined"],
  ["NaN", [NaN], "NaN"],
  ["a Date", { at: new Date(0) }, "Date"],
  ["a class of one's own", [new (class Thing {})()], "Thing"],
  ["what looks empty", [new URLSearchParams("a=1")], "URLSearchParams"],
  ["a symbol's property", { [Symbol("s")]: 1 }, "symbol"],
]) {
  test(`${what} in a value is no JSON: a tier that raises says so, and nothing is stored`, async () => {
    const store = new LocalFileCache(mkdtempSync(join(folder, "json-")));
    const raising = openCache({ tiers: [{ url: `file://${mkdtempSync(join(folder, "raise-"))}`, name: "disk", on_error: "raise" }] });

    await assert.rejects(raising.put("k", value), {
      name: "CacheError",
      code: "unsupported",
      tier: "disk",
      message: new RegExp(`cannot be encoded as \`json\`: .*${name}`),
    });
    await store.set("k", value);
    assert.equal(await store.exists("k"), false);
    assert.equal(store.stats().encode_failed, 1);
  });
}

test("a closed cache says so, whatever it is asked, and also where values were at hand", async () => {
  const store = new InMemCache();
  const fn = TTLCache.cached("k:{}", { ttl: 60, cache: store })(load);
  const sync = TTLCache.cachedSync("s:{}", { ttl: 60, cache: store })((id) => id);
  (await fn(1), await fn(1), sync(1), sync(1));

  await store.close();

  const closed = { name: "CacheError", code: "closed", retryable: false };
  await assert.rejects(fn(1), closed);
  assert.throws(() => sync(1), closed);
  await assert.rejects(store.get("k:1"), closed);
  await assert.rejects(store.set("k", 1), closed);
  await assert.rejects(store.clear(), closed);
  await assert.rejects(store.getMany(["k:1"]), closed);
  await store.close();
});

test("an entry that only another language can read is a miss there", async () => {
  const root = mkdtempSync(join(folder, "pickle-"));
  const custom = { encode: (value) => Buffer.from(JSON.stringify(value)), decode: (bytes) => JSON.parse(Buffer.from(bytes)) };
  const [own, plain] = [new LocalFileCache(root, { serializer: custom }), new LocalFileCache(root)];
  await own.set("k", { n: 1 });

  assert.deepEqual(await own.get("k"), { n: 1 });
  assert.equal(await plain.get("k"), undefined);
  assert.equal(plain.stats().corrupt, 1);
});

test("a codec whose decode throws makes a miss, and a codec whose encode throws keeps nothing", async () => {
  const root = mkdtempSync(join(folder, "codec-"));
  let broken = false;
  const custom = {
    encode: (value) => Buffer.from(String(value)),
    decode: (bytes) => {
      if (broken) throw new Error("no");
      return String(Buffer.from(bytes));
    },
  };
  const store = new LocalFileCache(root, { serializer: custom });
  await store.set("k", "v");
  assert.equal(await store.get("k"), "v");
  broken = true;

  assert.equal(await store.get("k"), undefined);
  assert.equal(store.stats().corrupt, 1);
  await new LocalFileCache(root, { serializer: { encode: () => "text", decode: String } }).set("other", 1);
  assert.equal(await store.exists("other"), false);
});

test("an unknown platform says what to do", async () => {
  const { candidates } = await import("../../node/dist/native.js");

  assert.deepEqual(
    candidates("linux", "arm64").map((path) => path.split("/").pop()),
    ["undercroft.linux-arm64-gnu.node", "undercroft.linux-arm64-musl.node"],
  );
  assert.deepEqual(
    candidates("darwin", "arm64").map((path) => path.split("/").pop()),
    ["undercroft.darwin-arm64.node"],
  );
});

test("errors are records with a code, a tier and whether to try again", async () => {
  const down = new S3Cache("bucket", {
    endpointUrl: "http://127.0.0.1:9",
    region: "us-east-1",
    accessKeyId: "a",
    secretAccessKey: "b",
    retries: 0,
    onError: "raise",
  });

  await assert.rejects(down.get("k"), (error) => {
    assert.ok(error instanceof CacheError && error instanceof Error);
    assert.deepEqual([error.name, error.code, error.retryable, typeof error.tier], ["CacheError", "unavailable", true, "string"]);
    assert.match(error.stack, /bad_input\.test\.js/);
    assert.doesNotMatch(error.message + error.stack, /secret/);
    return true;
  });
});

test("a Keyv store over nothing that is a store", () => {
  assert.throws(() => new KeyvUndercroft({ get() {} }), invalid(/no method `set`/));
});

test("a ttl function that returns nothing is an error of the call, and not for ever", async () => {
  await assert.rejects(TTLCache.cached("k", { ttl: (value) => value.ttl })(async () => ({}))(), invalid(/returned undefined/));
});

test("v8 refuses what it would keep the bare properties of", async () => {
  const store = new LocalFileCache(mkdtempSync(join(folder, "v8-")), { serializer: "v8" });
  await store.set("k", { headers: new Headers({ a: "b" }) });
  await store.set("plain", { map: new Map([[1, { date: new Date(0), re: /x/, error: new RangeError("r"), bytes: new Uint8Array(2) }]]) });

  assert.equal(await store.exists("k"), false);
  assert.equal((await store.get("plain")).map.get(1).error.message, "r");
});

test("memory that counts bytes counts what refers to itself once", async () => {
  const nodes = Array.from({ length: 60 }, (_, i) => ({ i, edges: [] }));
  for (const node of nodes) node.edges = nodes;
  const store = new InMemCache({ maxBytes: 1 << 20 });
  await store.set("k", nodes);

  assert.equal(await store.get("k"), nodes);
  assert.ok(store.getMemoryUsage().bytesUsed < 20_000);
});
