/** For tests: a clock that stands still, tiers that fail when asked to, and what other processes do. */
import { answer, readNothing, values } from "./bridge.js";
import { openCache, type Cache, type Config } from "./cache.js";
import { encoded } from "./codecs.js";
import { guarded, invalid } from "./errors.js";
import { native, type NativeClock } from "./native.js";

/** A clock that stands still until it is advanced. */
export class ManualClock {
  /** The core's half. */
  readonly native: NativeClock = new native.ManualClock();

  /** Lets seconds pass on both clocks. */
  advance(seconds: number): void {
    guarded(() => this.native.advance(seconds));
  }

  /** Steps the wall clock alone. */
  stepWall(seconds: number): void {
    this.native.stepWall(seconds);
  }

  /** The wall-clock time in seconds since the epoch. */
  get wall(): number {
    return this.native.wall();
  }
}

/** The failures that are planned for a far tier. */
export class Faults {
  readonly #native;

  constructor(cache: Cache, tier: string) {
    const found = cache.core.native.faults(tier);
    if (found === null) throw invalid(`no far tier of the cache is called \`${tier}\`, or it was not opened with faults`);
    this.#native = found;
  }

  /** Plans a fault: an error code, `hang` or `corrupt`; on an operation (`*` for any), for some calls or for ever. */
  plan(fault: string, operation = "*", times?: number): void {
    guarded(() => this.#native.plan(fault, operation, times));
  }

  /** Ends all planned faults. */
  heal(): void {
    this.#native.heal();
  }

  /** Lets hanging calls go on. */
  release(): void {
    this.#native.release();
  }

  /** The operations called so far. */
  get calls(): string[] {
    return this.#native.calls();
  }
}

/** Opens a configuration on a clock that stands still, with tiers that can be made to fail. */
export function openTestCache(config: Config | string, clock: ManualClock): Cache {
  return openCache(config, { clock, faults: true });
}

/** Removes a key from the near tier alone, as eviction does; says whether it was there. */
export function forgetNear(cache: { readonly core: Cache["core"] }, key: string): boolean {
  const forgotten = native.forgetNear(cache.core.native, key);
  cache.core.near.forget(key);
  values.collect();
  return forgotten;
}

/** Puts a value into one far tier alone, as another process may. */
export async function putFar(cache: Cache, tier: string, key: string, value: unknown): Promise<void> {
  const form = encoded(value, ...(cache.core.native.codecs[0] ?? [3, 0]));
  await answer(
    guarded(() => native.putFar(cache.core.native, tier, key, form)),
    readNothing,
  );
}

/** How many values the core knows by number: what memory, and what is under way, holds of JavaScript's. */
export function keptValues(): number {
  values.collect();
  return values.size;
}
