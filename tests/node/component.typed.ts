// What the types of `undercroft/component` say: this file is checked, and never run.
import { batch, cache, codecs, stats, store, stores, testing, type types } from "../../node/component/undercroft.js";

const opened: cache.Cache = cache.Cache.open("{}");
const entry: types.Entry | undefined = opened.get("k");
const until: bigint | undefined = entry?.freshUntil;
const codec: "raw" | "utf8" | "json" | "msgpack" | undefined = entry?.value.codec;

const outcome: cache.Outcome = opened.begin("k");
switch (outcome.tag) {
  case "hit":
  case "stale": {
    const lease: cache.Lease | undefined = outcome.val.lease;
    lease?.fail();
    break;
  }
  case "miss":
    outcome.val.fulfil({ bytes: new Uint8Array(), codec: "raw" }, undefined) satisfies types.Entry;
    break;
  case "busy":
    break;
}

// @ts-expect-error a value says what its bytes are
opened.put("k", { bytes: new Uint8Array() }, undefined);
// @ts-expect-error there is no such codec
opened.put("k", { bytes: new Uint8Array(), codec: "pickle" }, undefined);
// @ts-expect-error a key is a text
opened.get(7);

stats.events(opened) satisfies stats.Count[];
stores.Store.open("memory://").list("", undefined) satisfies stores.Page;
codecs.transcode({ bytes: new Uint8Array(), codec: "json" }, "msgpack") satisfies types.Value;
testing.inject(opened, "l2", "get", { tag: "fail", val: "timeout" }, 1);
batch.getMany(store.open(""), ["k"]) satisfies Array<[string, Uint8Array] | undefined>;
export { until, codec };
