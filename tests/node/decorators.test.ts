// The standard's decorators, compiled by TypeScript as users compile them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Cached, CachedSync, InMemCache } from "undercroft";

test("a method keeps its `this`, and its instances share one cache unless the key tells them apart", async () => {
  const store = new InMemCache();
  const loads: string[] = [];

  class Api {
    constructor(readonly name: string) {}

    @Cached("report:{}", { ttl: "1h", stale: "5m", cache: store })
    async report(day: string): Promise<string> {
      loads.push(`${this.name}:${day}`);
      return `${this.name} on ${day}`;
    }

    @CachedSync("double:{n}", { ttl: 60, params: ["n"] })
    double(n: number): number {
      loads.push(`${this.name}:${n}`);
      return n * 2;
    }
  }

  const [one, two] = [new Api("one"), new Api("two")];
  assert.equal(await one.report("monday"), "one on monday");
  assert.equal(await two.report("monday"), "one on monday");
  assert.deepEqual([one.double(2), two.double(2)], [4, 4]);
  assert.deepEqual(loads, ["one:monday", "one:2"]);
  assert.equal(await store.get("report:monday"), "one on monday");
  assert.equal(Api.prototype.report.name, "report");
  await (Api.prototype.report as unknown as { invalidate(day: string): Promise<void> }).invalidate("monday");
  assert.equal(await two.report("monday"), "two on monday");
});

test("static and private methods", async () => {
  let loads = 0;

  class Api {
    @Cached("static:{}", { ttl: 60 })
    static async of(n: number): Promise<number> {
      loads += 1;
      return n;
    }

    @Cached("hidden:{}", { ttl: 60 })
    async #hidden(n: number): Promise<number> {
      loads += 1;
      return n;
    }

    async both(n: number): Promise<number> {
      return (await this.#hidden(n)) + (await this.#hidden(n));
    }
  }

  assert.equal((await Api.of(1)) + (await Api.of(1)), 2);
  assert.equal(await new Api().both(2), 4);
  assert.equal(loads, 2);
});
