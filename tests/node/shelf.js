#!/usr/bin/env node
// Puts and gets from Node, for tests across languages: `shelf.js CONFIG`, where the configuration is in JSON. Each line of the input is a
// request, each line of the output its answer (`tests/languages`).
import { createInterface } from "node:readline";
import { codecOf } from "../../node/dist/codecs.js";
import { openCache } from "../../node/dist/index.js";

const cache = openCache(process.argv[2]);
const until = (deadline) => (deadline === Infinity ? null : deadline);

async function answer(request) {
  if (request.do === "put") {
    const value = codecOf(request.codec).decode(Buffer.from(request.bytes));
    await cache.put(request.key, value, { ttl: `${request.ttl}ms`, stale: `${request.stale}ms` });
    return null;
  }
  const found = await cache.entry(request.key);
  if (found === undefined) return null;
  // What was read is written again: the bytes are those that Node would have put.
  const bytes = [...Buffer.from(codecOf(found.codec).encode(found.value))];
  return {
    bytes,
    codec: found.codec,
    created_at: found.createdAt,
    fresh_until: until(found.freshUntil),
    stale_until: until(found.staleUntil),
  };
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
