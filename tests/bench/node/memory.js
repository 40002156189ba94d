// Memory under a mixed load: `node memory.js SECONDS URL ACCESS_KEY SECRET_KEY BUCKET`, with the resident set every second as JSON, in MiB.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChainCache, InMemCache, LocalFileCache, S3Cache, SWRCache, TTLCache, settled } from "undercroft";

const [seconds, endpointUrl, accessKeyId, secretAccessKey, bucket] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "undercroft-memory-"));
const s3 = new S3Cache(bucket, { prefix: "node/memory/", endpointUrl, region: "us-east-1", accessKeyId, secretAccessKey });
const memory = new InMemCache({ maxEntries: 5000 });
const disk = new ChainCache([
  [new InMemCache({ maxEntries: 1000 }), 5],
  [new LocalFileCache(folder, { maxBytes: 8 << 20 }), 60],
]);

// A generator of its own: the same load in every run.
let state = 1;
const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
/** Some keys are asked for often, most are rare. */
const some = (count) => Math.floor(count * random() ** 3);
const value = (id) => ({ id, text: "x".repeat(100 + (id % 400)), list: [id, id + 1] });

const hot = TTLCache.cached("hot:{}", { ttl: 2, cache: memory })(async (id) => value(id));
const now = TTLCache.cachedSync("now:{}", { ttl: 1, cache: memory })((id) => value(id));
const stale = SWRCache.cached("stale:{}", { ttl: 0.2, staleTtl: 5, cache: memory })(async (id) => value(id));
const shared = TTLCache.cached("disk:{}", { ttl: 30, cache: disk })(async (id) => value(id));
const failing = TTLCache.cached("bad:{}", { ttl: 1, cache: memory })(async (id) => {
  throw new Error(`no ${id}`);
});
const far = TTLCache.cached("far:{}", { ttl: 30, cache: new ChainCache([[new InMemCache({ maxEntries: 200 }), 5], [s3]]) })(async (id) =>
  value(id),
);

const samples = [];
const started = performance.now();
let next = started;
let calls = 0;
while (performance.now() - started < Number(seconds) * 1000) {
  for (let i = 0; i < 200; i++) {
    await hot(some(20_000));
    now(some(20_000));
    await stale(some(5_000));
    calls += 3;
  }
  await Promise.all(Array.from({ length: 20 }, () => shared(some(5_000))));
  await Promise.allSettled([failing(some(100)), failing(some(100))]);
  await Promise.all(Array.from({ length: 4 }, () => far(some(1_000))));
  await hot.invalidate(some(20_000));
  await memory.setMany(
    Array.from({ length: 10 }, (_, i) => [`many:${i}:${some(1000)}`, value(i)]),
    1,
  );
  calls += 40;
  // Timers and the garbage collector get their turn, as in a server.
  await new Promise((resolve) => setImmediate(resolve));
  if (performance.now() >= next) {
    samples.push(process.memoryUsage.rss() / 2 ** 20);
    next += 1000;
  }
}
await settled();
await Promise.all([memory, disk, s3].map((store) => store.close()));
rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
process.stdout.write(JSON.stringify({ samples, calls }));
process.exit(0);
