// Runs the cases of `tests/cases` through the Node package. A case is data; this says what its verbs do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "undercroft";
import { Faults, ManualClock, forgetNear, openTestCache, putFar } from "undercroft/testing";

export const read = (name) => JSON.parse(readFileSync(new URL(`../cases/${name}.json`, import.meta.url), "utf8"));

/** Replaces the shorthands of a case's cache: `near` and `far` are memory, `{tmp}` is a fresh folder. */
export function expand(cache, folder) {
  const expanded = JSON.parse(JSON.stringify(cache).replaceAll("{tmp}", folder));
  if (Array.isArray(expanded?.tiers)) {
    expanded.tiers = expanded.tiers.map((tier) => (["near", "far", "deep"].includes(tier) ? { url: "memory://", name: tier } : tier));
  }
  return expanded;
}

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

function seconds(text) {
  const [, sign, number, unit] = /^(-?)([\d.]+)(ms|[smhd])$/.exec(text);
  return (sign ? -1 : 1) * Number(number) * UNITS[unit];
}

const isLater = (thing) => thing instanceof Promise;

/** One case under way. */
export class Runner {
  constructor(cache, folder) {
    this.clock = new ManualClock();
    this.cache = openTestCache(expand(cache, folder), this.clock);
    this.core = this.cache.core;
    this.leases = new Map();
    this.flights = new Map();
    this.begins = new Map();
    this.fulfils = new Map();
  }

  async step(step) {
    assert.ok(Object.hasOwn(VERBS, step.do), `a verb: ${step.do}`);
    await VERBS[step.do].call(this, step);
  }

  ask(step) {
    return step.skip === undefined ? this.core.ask : this.core.ask.skipping(step.skip);
  }

  take(leases, name) {
    const taken = leases.get(name);
    leases.delete(name);
    return taken;
  }

  async check(begun, name, expected) {
    if ("error" in expected) {
      await assert.rejects(async () => begun, { name: "CacheError", code: expected.error });
      return;
    }
    const found = await begun;
    assert.ok(found.state in expected, `it is a ${found.state}`);
    if (found.hasValue) assert.deepEqual(found.value, expected[found.state]);
    if ("tier" in expected) assert.equal(found.tier, expected.tier);
    if ("lease" in expected) assert.equal(found.lease !== undefined, expected.lease, "the lease");
    if (found.lease === undefined) return;
    if (name === undefined) {
      found.lease.drop();
    } else {
      this.leases.set(name, found.lease);
      this.flights.set(name, found.lease.flight);
    }
  }
}

const VERBS = {
  async advance(step) {
    this.clock.advance(seconds(step.by));
    // What the clock woke runs on other threads: let what can end do so.
    for (const { begun } of this.begins.values()) await Promise.race([begun.catch(() => undefined), sleep(50)]);
  },
  step_wall(step) {
    this.clock.stepWall(seconds(step.by));
  },
  async put(step) {
    await this.cache.put(step.key, step.value);
  },
  async put_if_absent(step) {
    assert.equal(await this.cache.putIfAbsent(step.key, step.value), step.expect);
  },
  async put_far(step) {
    await putFar(this.cache, step.tier, step.key, step.value);
  },
  forget_near(step) {
    assert.ok(forgetNear(this.cache, step.key));
  },
  async get(step) {
    const found = await this.cache.entry(step.key, step.skip === undefined ? {} : { skip: step.skip });
    if (step.expect.miss) assert.equal(found, undefined);
    else assert.deepEqual(found.value, step.expect.value);
  },
  async exists(step) {
    assert.equal(await this.cache.exists(step.key), step.expect);
  },
  async begin(step) {
    const lineage = (step.inside ?? []).map((name) => this.flights.get(name));
    const stop = new AbortController();
    const begun = (() => {
      try {
        return this.core.begin(step.key, this.ask(step), lineage, stop.signal);
      } catch (error) {
        if (error instanceof CacheError) return Promise.reject(error);
        throw error;
      }
    })();
    if (!step.expect.waits) return this.check(begun, step.as, step.expect);
    assert.ok(isLater(begun), "it waits");
    begun.catch(() => undefined);
    this.begins.set(step.as, { begun, stop });
  },
  async join(step) {
    await this.check(this.take(this.begins, step.begin).begun, step.begin, step.expect);
  },
  async settle(step) {
    await this.take(this.begins, step.begin).begun;
  },
  async cancel(step) {
    const { begun, stop } = this.take(this.begins, step.begin);
    stop.abort();
    await assert.rejects(begun, { name: "AbortError" });
  },
  claim(step) {
    const lease = this.cache.claim(step.key);
    assert.equal(lease !== undefined, step.expect);
    if (lease !== undefined && step.as !== undefined) this.leases.set(step.as, lease);
  },
  async fulfil(step) {
    await this.core.fulfil(this.take(this.leases, step.lease), step.value, this.ask(step));
  },
  start_fulfil(step) {
    const begun = this.core.fulfil(this.take(this.leases, step.lease), step.value, this.ask(step));
    assert.ok(isLater(begun), "it waits");
    this.fulfils.set(step.as, begun);
  },
  async join_fulfil(step) {
    await this.take(this.fulfils, step.fulfil);
  },
  fail(step) {
    const served = this.cache.fail(this.take(this.leases, step.lease));
    if (step.expect.nothing) assert.equal(served, undefined);
    else assert.deepEqual(served.value, step.expect.stale);
  },
  drop(step) {
    this.take(this.leases, step.lease).drop();
  },
  async resume(step) {
    const found = await this.core.resume(this.take(this.leases, step.lease), this.ask(step));
    if ("hit" in step.expect) assert.deepEqual(found.value, step.expect.hit);
    else this.leases.set(step.as, found.lease);
  },
  async delete(step) {
    const code = step.expect?.error;
    if (code === undefined) await this.cache.delete(step.key);
    else await assert.rejects(this.cache.delete(step.key), { name: "CacheError", code });
  },
  async expire(step) {
    await this.cache.expire(step.key);
  },
  async clear(step) {
    assert.equal(await this.cache.clear(step.prefix), step.expect);
  },
  fault(step) {
    new Faults(this.cache, step.tier).plan(step.fault, step.on, step.times);
  },
  heal(step) {
    new Faults(this.cache, step.tier).heal();
  },
  release(step) {
    new Faults(this.cache, step.tier).release();
  },
  stats(step) {
    const stats = this.cache.stats();
    for (const name of Object.keys(step.expect)) assert.equal(stats[name], step.expect[name], name);
  },
};
