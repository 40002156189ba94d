// Every case of `tests/cases`, from Node. None is left out.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Cache, CacheError, openCache } from "undercroft";
import { Core } from "../../node/dist/core.js";
import { native } from "../../node/dist/native.js";
import { Runner, expand, read } from "./cases.js";

let folder;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "undercroft-cases-"));
});
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20 }));

for (const name of ["freshness", "flight", "chain", "faults"]) {
  for (const one of read(name)) {
    test(one.name, async () => {
      const runner = new Runner(one.cache, mkdtempSync(join(folder, "case-")));
      for (const [at, step] of one.steps.entries()) {
        try {
          await runner.step(step);
        } catch (error) {
          error.message = `step ${at + 1}: ${JSON.stringify(step)}: ${error.message}`;
          throw error;
        }
      }
    });
  }
}

for (const one of read("keys").keys) {
  test(`key: ${one.name}`, async () => {
    const cache = openCache({ tiers: ["memory://"] });
    if (!one.valid) return assert.rejects(cache.put(one.key, 1), { name: "CacheError", code: "key_invalid" });
    await cache.put(one.key, 1);
    assert.equal(await cache.get(one.key), 1);
  });
}

for (const one of read("keys").templates) {
  test(`template: ${one.name}`, () => {
    const { names, positions, any_position, any_name } = one.signature;
    const check = () => native.template(one.template, "f", names, positions, any_position, any_name);
    if ("error" in one) assert.throws(check, (error) => error.message.includes("config_invalid") && error.message.includes(one.error));
    else check();
  });
}

for (const one of read("config")) {
  test(`config: ${one.name}`, () => {
    Object.assign(process.env, one.env ?? {});
    const text = JSON.stringify(expand(one.config, mkdtempSync(join(folder, "config-"))));
    const open = () => new Cache(Core.open(text, "json", undefined, false));
    try {
      if ("error" in one) assert.throws(open, (error) => error.code === "config_invalid" && error.message.includes(one.error));
      else if ("names" in one) assert.deepEqual(open().tierNames, one.names);
      else open();
    } finally {
      for (const name of Object.keys(one.env ?? {})) delete process.env[name];
    }
  });
}

for (const one of read("envelope")) {
  test(`envelope: ${one.name}`, () => {
    const parts = ["header", "payload"].map((name) => new Uint8Array(Buffer.from(one[name], "hex")));
    if ("corrupt" in one) {
      assert.throws(
        () => native.readEnvelope(...parts),
        (error) => error.message.startsWith("corrupt") && new RegExp(one.corrupt).test(error.message),
      );
      return;
    }
    const read = native.readEnvelope(...parts);
    const expected = [one.codec, one.compressed, one.signed, one.created_at, one.fresh_until, one.stale_until];
    assert.deepEqual(
      [read.codec, read.compressed, read.signed, read.createdAt, read.freshUntil ?? null, read.staleUntil ?? null],
      expected,
    );
  });
}

test("every error of the contract is one of Node's, and is tried again where the contract says so", () => {
  for (const { code, retryable } of JSON.parse(native.contract()).errors) assert.equal(new CacheError(code, "").retryable, retryable, code);
});

test("the contract is the one of the repository", () => {
  const contract = JSON.parse(readFileSync(new URL("../contract.json", import.meta.url), "utf8"));
  assert.deepEqual(JSON.parse(native.contract()), contract);
});
