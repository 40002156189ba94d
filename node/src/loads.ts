/** Loads: what happens where memory has no fresh value. The core decides; this runs the user's function. */
import { background, failed, flights, inside, insideNow, outside } from "./background.js";
import type { Core } from "./core.js";
import { durationText, type Duration } from "./duration.js";
import { CacheError } from "./errors.js";
import type { Found, Lease } from "./found.js";
import type { Ask } from "./ask.js";
import type { Later } from "./bridge.js";

/** How often a function was answered, and how. */
export class Counts {
  hits = 0;
  stale = 0;
  misses = 0;
  loads = 0;
  errors = 0;
}

/** How long a value is fresh, by the value itself. */
export type TtlOf<T> = Judging<T>["ttl"];

/** As a method, so that it may say what it takes. */
interface Judging<T> {
  ttl(value: T): Duration | null;
}

/** What decides over single values. */
export interface Judgement {
  ttl: TtlOf<never> | undefined;
  cacheIf: ((value: never) => boolean) | undefined;
}

type Load = (...args: readonly unknown[]) => unknown;

/** The loads of one function through one cache. */
export class Loads {
  readonly counts = new Counts();

  constructor(
    readonly load: Load,
    readonly core: Core,
    readonly ask: Ask,
    readonly judgement: Judgement,
  ) {}

  /** Looks for the value under `key`; what is there at once needs no function that waits. */
  first(key: string, self: unknown, args: readonly unknown[]): Promise<unknown> {
    const begun = this.core.begin(key, this.ask, flights());
    if (!(begun instanceof Promise) && begun.hasValue && begun.lease === undefined) {
      const read = this.#read(begun);
      if (read !== undefined) {
        this.#served(begun);
        return Promise.resolve(read.value);
      }
    }
    return this.call(key, self, args, this.ask, undefined, begun);
  }

  /** Returns the value under `key`: from the cache, from another caller's load, or by loading it. */
  async call(
    key: string,
    self: unknown,
    args: readonly unknown[],
    asked: Ask = this.ask,
    signal?: AbortSignal,
    begun?: Later<Found>,
  ): Promise<unknown> {
    let [ask, next] = [asked, begun];
    signal?.throwIfAborted();
    for (;;) {
      const looked = next ?? this.core.begin(key, ask, flights(), signal);
      next = undefined;
      const found = looked instanceof Promise ? await looked : looked;
      if (!found.hasValue) {
        this.counts.misses++;
        return this.#wait(found.lease as Lease, self, args, ask, signal);
      }
      const read = this.#read(found);
      if (read === undefined) {
        ask = this.#distrust(key, found, ask);
        continue;
      }
      this.#served(found);
      const { lease } = found;
      if (lease !== undefined) void outside(() => background(this.#refresh(lease, self, args, ask)));
      return read.value;
    }
  }

  /** Loads anew, whatever the cache holds; where a load is under way already, answers as a call does. */
  async refresh(key: string, self: unknown, args: readonly unknown[]): Promise<unknown> {
    const lease = this.core.claim(key);
    return lease === undefined ? this.call(key, self, args) : this.#wait(lease, self, args, this.ask, undefined);
  }

  /** Runs the load, and waits for it as long as the policy says and the caller wants. The load goes on. */
  async #wait(lease: Lease, self: unknown, args: readonly unknown[], ask: Ask, signal: AbortSignal | undefined): Promise<unknown> {
    const first = this.core.patience(lease, ask);
    if (first === null && signal === undefined) return this.#run(lease, self, args, ask);
    const running = background(this.#run(lease, self, args, ask));
    // Who waits is told; when nobody does any more, a failure is one of the background's.
    let waits = true;
    running.catch((error: unknown) => waits || failed(error, `the load of \`${lease.key}\` failed`));
    const started = performance.now();
    let patience = first ?? Infinity;
    try {
      for (;;) {
        if (await ended(running, patience, signal)) return await running;
        const verdict = this.core.overdue(lease, ask, performance.now() - started);
        if (typeof verdict !== "number") return verdict.value;
        patience = verdict;
      }
    } finally {
      waits = false;
    }
  }

  async #run(lease: Lease, self: unknown, args: readonly unknown[], ask: Ask): Promise<unknown> {
    let value: unknown;
    let own: Ask;
    try {
      value = await inside(lease.flight, () => this.load.apply(self, args as unknown[]));
      own = this.#askFor(value, ask);
    } catch (error) {
      return this.#rescue(lease, error);
    }
    this.counts.loads++;
    await this.core.fulfil(lease, value, own);
    return this.core.lent(value);
  }

  async #refresh(lease: Lease, self: unknown, args: readonly unknown[], ask: Ask): Promise<void> {
    try {
      const found = await this.core.resume(lease, ask);
      if (found.lease !== undefined) await this.#run(found.lease, self, args, ask);
    } catch (error) {
      failed(error, `the refresh of \`${lease.key}\` failed`);
    }
  }

  // ---- calls that end before they return

  /** Like `call`, for a function that is no asynchronous one. */
  callNow(key: string, self: unknown, args: readonly unknown[], asked: Ask = this.ask): unknown {
    let ask = asked;
    for (;;) {
      const found = this.core.beginNow(key, ask, flights());
      if (found.state === "busy") {
        // Whoever loads cannot go on before this call returns: so it loads for itself, and the newer value stands.
        this.counts.misses++;
        const value = notLater(this.load.apply(self, args as unknown[]));
        this.counts.loads++;
        this.core.putNow(key, value, this.#askFor(value, ask));
        return this.core.lent(value);
      }
      if (!found.hasValue) {
        this.counts.misses++;
        return this.#runNow(found.lease as Lease, self, args, ask);
      }
      const read = this.#read(found);
      if (read === undefined) {
        ask = this.#distrust(key, found, ask);
        continue;
      }
      this.#served(found);
      const { lease } = found;
      if (lease !== undefined) setImmediate(() => this.#refreshNow(lease, self, args, ask));
      return read.value;
    }
  }

  /** Like `refresh`, for a function that is no asynchronous one. */
  refreshNow(key: string, self: unknown, args: readonly unknown[]): unknown {
    const lease = this.core.claim(key);
    return lease === undefined ? this.callNow(key, self, args) : this.#runNow(lease, self, args, this.ask);
  }

  #runNow(lease: Lease, self: unknown, args: readonly unknown[], ask: Ask): unknown {
    let value: unknown;
    let own: Ask;
    try {
      value = insideNow(lease.flight, () => notLater(this.load.apply(self, args as unknown[])));
      own = this.#askFor(value, ask);
    } catch (error) {
      return this.#rescue(lease, error);
    }
    this.counts.loads++;
    this.core.fulfilNow(lease, value, own);
    return this.core.lent(value);
  }

  #refreshNow(lease: Lease, self: unknown, args: readonly unknown[], ask: Ask): void {
    try {
      const found = this.core.resumeNow(lease, ask);
      if (found.lease !== undefined) this.#runNow(found.lease, self, args, ask);
    } catch (error) {
      failed(error, `the refresh of \`${lease.key}\` failed`);
    }
  }

  // ---- both

  /** Reads a value; `undefined` where its bytes are bad. */
  #read(found: Found): { value: unknown } | undefined {
    try {
      return { value: found.value };
    } catch (error) {
      if (error instanceof CacheError && error.code === "corrupt") return undefined;
      throw error;
    }
  }

  #distrust(key: string, found: Found, ask: Ask): Ask {
    if (found.lease !== undefined) found.lease.drop();
    this.core.distrust(key, found.tier, "a value cannot be decoded");
    return found.tier === undefined ? ask : ask.distrusting(found.tier);
  }

  #served(found: Found): void {
    if (found.state === "stale") this.counts.stale++;
    else this.counts.hits++;
  }

  /** Returns the question with the ttl of this value: 0 where it is not to be stored. */
  #askFor(value: unknown, ask: Ask): Ask {
    const { ttl, cacheIf } = this.judgement;
    if (cacheIf !== undefined && !cacheIf(value as never)) return ask.withTtl("0");
    if (ttl === undefined) return ask;
    const lasting = ttl(value as never);
    if (lasting === undefined) throw new CacheError("config_invalid", "the function of the value that gives the `ttl` returned undefined");
    return ask.withTtl(durationText(lasting));
  }

  /** Ends a load that failed: with the old value where there is one, else with what the loader threw. */
  #rescue(lease: Lease, error: unknown): unknown {
    this.counts.errors++;
    const spare = this.core.fail(lease);
    const read = spare === undefined ? undefined : this.#read(spare);
    if (read === undefined) throw error;
    return read.value;
  }
}

/** Waits until work has ended, and says whether it has; throws the signal's reason when that comes first. */
async function ended(work: Promise<unknown>, patience: number, signal: AbortSignal | undefined): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  try {
    const over = work.then(
      () => true,
      () => true,
    );
    const others: Promise<boolean>[] = [];
    // Longer than a timer can take: it asks again then.
    if (patience !== Infinity) others.push(new Promise((resolve) => (timer = setTimeout(resolve, Math.min(patience, 2 ** 31 - 1), false))));
    if (signal !== undefined) {
      others.push(
        new Promise((_, reject) => {
          abort = () => reject(signal.reason);
          signal.addEventListener("abort", abort, { once: true });
          if (signal.aborted) abort();
        }),
      );
    }
    return await Promise.race([over, ...others]);
  } finally {
    clearTimeout(timer);
    if (abort !== undefined) signal?.removeEventListener("abort", abort);
  }
}

/** Refuses a promise from a function that was said to be no asynchronous one: its failure would be kept as a value. */
function notLater(value: unknown): unknown {
  if (typeof (value as { then?: unknown } | null | undefined)?.then !== "function") return value;
  (value as Promise<unknown>).then(undefined, () => undefined);
  throw new CacheError("config_invalid", "the function returned a promise: use `cached`, not `cachedSync`");
}
