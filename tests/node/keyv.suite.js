// Keyv's own tests of storage adapters, run by vitest because they are written for it.
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import suite, { keyvIteratorTests } from "@keyv/test-suite";
import Keyv from "keyv";
import { ChainCache, InMemCache, LocalFileCache } from "undercroft";
import { KeyvUndercroft } from "undercroft/keyv";
import * as vitest from "vitest";

const folder = mkdtempSync(join(tmpdir(), "undercroft-keyv-"));
const stores = { memory: new InMemCache(), chain: new ChainCache([[new InMemCache(), 60], [new LocalFileCache(folder)]]) };

for (const [name, store] of Object.entries(stores)) {
  vitest.describe(name, () => {
    const make = () => new KeyvUndercroft(store);
    suite(vitest, Keyv, make);
    keyvIteratorTests(vitest, Keyv, make);
  });
}
