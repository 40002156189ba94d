// Reads from a folder what Python has put there: `node read.js FOLDER`, with the paths of modules on standard input as JSON.
import { text } from "node:stream/consumers";
import { ChainCache, InMemCache, LocalFileCache, TTLCache } from "../../node/dist/index.js";

const chain = new ChainCache([
  [new InMemCache(), 60],
  [new LocalFileCache(process.argv[2]), 3600],
]);

const analyse = TTLCache.cached("module:{}", { ttl: 3600, cache: chain })(async (path) => {
  throw new Error(`${path} is not there: Node cannot analyse Python`);
});

const paths = JSON.parse(await text(process.stdin));
const results = {};
const started = performance.now();
for (const path of paths) results[path] = await analyse(path);
const seconds = (performance.now() - started) / 1000;

const { tiers, loads } = analyse.cacheInfo();
process.stdout.write(JSON.stringify({ seconds, results, loads, hits: { l1: tiers.l1.hits, l2: tiers.l2.hits } }));
