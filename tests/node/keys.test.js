// Keys: what templates make of arguments.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TTLCache } from "undercroft";

const keyFor = (template, params, ...args) => {
  const options = params === undefined ? { ttl: 60 } : { ttl: 60, params };
  return TTLCache.cached(template, options)(async (..._args) => 1).keyFor(...args);
};

for (const [template, params, args, key] of [
  ["static", undefined, [1], "static"],
  ["{{literal}}", undefined, [1], "{literal}"],
  ["user:{}", undefined, [7], "user:7"],
  ["user:{}", undefined, ["7"], "user:7"],
  ["{}:{}", undefined, ["a", true], "a:true"],
  ["{1}:{0}", undefined, ["a", "b"], "b:a"],
  ["{id}", ["id"], [7], "7"],
  ["{b}/{a}", ["a", "b"], ["x", "y"], "y/x"],
  ["{tenant}/{id}", undefined, [{ tenant: "t", id: 7 }], "t/7"],
  ["{user.id:08d}", ["user"], [{ id: 42 }], "00000042"],
  ["{0[1]}:{0[name]}", undefined, [Object.assign(["a", "b"], { name: "n" })], "b:n"],
  ["{:>5}|{:<5}|{:^5}|{:*^7}", undefined, ["a", "b", "c", "d"], "    a|b    |  c  |***d***"],
  ["{:5}|{:5}", undefined, ["a", 1], "a    |    1"],
  [
    "{:.2f}|{:+d}|{:,}|{:x}|{:#x}|{:b}|{:%}",
    undefined,
    [3.14159, 5, 1234567, 255, 255, 5, 0.5],
    "3.14|+5|1,234,567|ff|0xff|101|50.000000%",
  ],
  ["{:e}|{:g}|{:g}|{:.3}", undefined, [12345.678, 0.00001234, 1234567, 3.14159], "1.234568e+04|1.234e-05|1.23457e+06|3.14"],
  ["{:.3}", undefined, ["abcdef"], "abc"],
  ["{:.2f}|{:.0f}|{:.1f}|{:.0e}|{:.2f}", undefined, [0.125, 2.5, -1.25, 2.5, 1e21], "0.12|2|-1.2|2e+00|1000000000000000000000.00"],
  [
    "{:05}|{:#010x}|{:012,.2f}|{:010,}|{:010,}",
    undefined,
    ["ab", 42, 1234.5678, 42, -42],
    "ab000|0x0000002a|0,001,234.57|00,000,042|-0,000,042",
  ],
  ["{:_x}|{:_b}|{:n}|{:d}", undefined, [3735928559, 42, 1234567, true], "dead_beef|10_1010|1234567|1"],
  ["{!r}", undefined, ["a"], '"a"'],
  ["{}", undefined, [new Date(0)], "1970-01-01T00:00:00.000Z"],
  ["{}", undefined, [new URL("http://x/y")], "http://x/y"],
  ["{}", undefined, [10n ** 20n], "100000000000000000000"],
  ["{}", undefined, [null], "null"],
]) {
  test(`${template} of ${JSON.stringify(args, (_, value) => (typeof value === "bigint" ? `${value}n` : value))} is ${key}`, () => {
    assert.equal(keyFor(template, params, ...args), key);
  });
}

for (const [template, params, message] of [
  ["user:{uid}", ["id"], /`\{uid\}` names nothing that .* takes: it takes `id`/],
  ["{}:{}", ["id"], /`\{1\}` names nothing/],
  ["user:{", undefined, /never closed/],
  ["user:}", undefined, /single `\}`/],
  ["{}{0}", undefined, /cannot be mixed/],
  ["{:nonsense}", undefined, /no format specification/],
  ["{!x}", undefined, /unknown conversion/],
  ["{:>1000000000}", undefined, /wider or finer/],
  ["{:.2d}", undefined, /gives a precision/],
]) {
  test(`${template} is refused when wrapping`, () => {
    assert.throws(() => keyFor(template, params, 1), { name: "CacheError", code: "config_invalid", message });
  });
}

test("a template with a placeholder is refused for a function that takes nothing", () => {
  const wrap = TTLCache.cached("k:{}", { ttl: 60 });

  for (const fn of [async () => 1, async function () {}, async function named() {}, { async method() {} }.method]) {
    assert.throws(() => wrap(fn), { code: "config_invalid", message: /it takes no parameters/ });
  }
  for (const fn of [async (_a = 1) => 1, async (..._rest) => 1, async ({ a }) => a, async function (_a) {}]) wrap(fn);
});

for (const [template, params, args, message] of [
  ["{id}", undefined, [7], /`\{id\}` is read from an object/],
  ["{id}", undefined, [{ uid: 1 }], /`\{id\}` is undefined/],
  ["{}", undefined, [], /is undefined/],
  ["{}", undefined, [{}], /no text of its own/],
  ["{}", undefined, [[1]], /no text of its own/],
  ["{}", undefined, [Symbol("s")], /a symbol has no text/],
  ["{:d}", undefined, ["a"], /`d` formats numbers/],
  ["{:x}", undefined, [2.5], /`x` formats whole numbers/],
  ["{:+}", undefined, ["a"], /are for numbers/],
  ["{:s}", undefined, [1], /`s` formats texts/],
]) {
  test(`${template} of ${args.map(String)} is refused when calling`, async () => {
    const fn = TTLCache.cached(template, params === undefined ? { ttl: 60 } : { ttl: 60, params })(async (..._args) => 1);

    await assert.rejects(fn(...args), { name: "CacheError", code: "key_invalid", message });
  });
}

test("a function makes keys", async () => {
  const fn = TTLCache.cached((a, b) => `${a}/${b}`, { ttl: 60 })(async (a, b) => a + b);

  assert.equal(fn.keyFor(1, 2), "1/2");
  assert.equal(await fn(1, 2), 3);
  const bad = TTLCache.cached(() => 7, { ttl: 60 })(async () => 1);
  await assert.rejects(bad(), { code: "key_invalid", message: /returned `number`/ });
});

test("arguments of one text share a key, and are found by themselves", async () => {
  let loads = 0;
  const fn = TTLCache.cached("k:{}", { ttl: 60 })(async (id) => (loads++, id));

  (await fn(1), await fn("1"), await fn(1n), await fn(1), await fn("1"), await fn(1n));

  assert.equal(loads, 1);
});

test("arguments that a call leaves out have the defaults that were given", async () => {
  const options = { ttl: 60, params: ["id", "lang"], defaults: { lang: "en" } };
  const fn = TTLCache.cached("u:{id}:{lang}", options)(async (_id, lang = "en") => lang);

  assert.deepEqual([fn.keyFor(1), fn.keyFor(1, "de"), await fn(1)], ["u:1:en", "u:1:de", "en"]);
  assert.equal(TTLCache.cached("u:{}:{}", options)(async (_id, _lang) => 1).keyFor(1), "u:1:en");
});
