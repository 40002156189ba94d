/** One cache as the facades share it: the core's verbs, and what JavaScript may serve without asking. */
import { ANSWERS, At, Kind, answer, answerNow, bridge, readFlag, readNothing, readNumber, values, type Later } from "./bridge.js";
import { Ask } from "./ask.js";
import { failed } from "./background.js";
import { checked, cloned, isCloneable } from "./checks.js";
import { encoded, typeName } from "./codecs.js";
import { CacheError, guarded } from "./errors.js";
import { Found, type Lease } from "./found.js";
import type { Held, Index } from "./live.js";
import { Near } from "./near.js";
import { native, type Encoded, type NativeClock, type NativeCore, type Payload, type Verbs } from "./native.js";
import { sizeOf } from "./size.js";
import type { Tier } from "./tier.js";

/** How a cache is made. */
export interface Made {
  native: NativeCore;
  /** Where the values of its near tier are found by key. */
  index: Index | undefined;
  /** Those of memory further back. */
  others: Index[];
  /** The clock of hits. */
  clock: Float64Array;
  tiers: Tier[];
  /** Whether readers get copies. */
  clones: boolean;
}

/** The clock of hits: the time, and where to say that it was read. */
export const CLOCK: Float64Array = bridge.clock;

export class Core {
  readonly native: NativeCore;
  /** The same core, whose verbs end before they return. */
  readonly #now: NativeCore;
  /** What JavaScript may serve by itself. */
  readonly near: Near;
  readonly clock: Float64Array;
  readonly tiers: readonly Tier[];
  readonly names: readonly string[];
  readonly clones: boolean;
  /** The default question. */
  readonly ask: Ask;
  /** Hits that needed no question. */
  hits = 0;
  isClosed = false;
  readonly #verbs: Verbs;
  readonly #verbsNow: Verbs;
  readonly #codecs: readonly [number, number][];
  readonly #isSized: boolean;
  #hasTold = false;

  constructor(made: Made) {
    this.native = made.native;
    this.#now = made.native.blocking();
    this.near = new Near(made.index, made.others);
    this.clock = made.clock;
    this.tiers = made.tiers;
    this.clones = made.clones;
    this.names = made.native.tierNames;
    this.ask = new Ask(made.native.ask);
    this.#verbs = made.native.verbs();
    this.#verbsNow = this.#now.verbs();
    this.#codecs = made.native.codecs;
    this.#isSized = made.native.isSized;
  }

  /** Makes a cache over tiers, nearest first. Memory in front is the near tier. */
  static over(tiers: Tier[], policy: string): Core {
    const made = guarded(
      () =>
        new native.Core(
          bridge,
          tiers.map((tier) => tier.native),
          policy,
        ),
    );
    const [first, ...rest] = tiers;
    const others = rest.flatMap((tier) => (tier.index === undefined ? [] : [tier.index]));
    const clones = tiers.some((tier) => tier.clones);
    return new Core({ native: made, index: first?.index, others, clock: CLOCK, tiers, clones });
  }

  /** Opens a configuration. */
  static open(text: string, syntax: string, clock: NativeClock | undefined, faults: boolean): Core {
    const made = guarded(() => native.Core.open(bridge, text, syntax, clock, faults));
    const index = made.nearUsage() === "null" ? undefined : new Map<string, Held>();
    return new Core({ native: made, index, others: [], clock: clock?.cell ?? CLOCK, tiers: [], clones: false });
  }

  /** Says why calls that must not wait cannot be answered here; `undefined` where they can. */
  get waits(): string | undefined {
    return this.native.farSchemes.find((scheme) => scheme !== "memory" && scheme !== "file");
  }

  // ---- what JavaScript may serve by itself

  /** Says whether a value may be served without a question, and counts that it is. */
  serves(held: Held): boolean {
    if (!((this.clock[0] as number) < held.plainUntil) || this.isClosed) return false;
    this.clock[1] = 1;
    held.marks[held.at] = 1;
    this.hits++;
    return true;
  }

  /** Returns the value under a key if it may be served without a question. */
  glance(key: string): Held | undefined {
    const held = this.near.index?.get(key);
    return held !== undefined && this.serves(held) ? held : undefined;
  }

  /** Returns what a reader gets: the value, or a copy where that was asked for. */
  lent(value: unknown): unknown {
    return this.clones ? cloned(value) : value;
  }

  /** Keeps a value that was decoded from bytes beside them. */
  attach(key: string, createdAt: number, value: unknown): void {
    if (this.near.index === undefined) return;
    const size = this.#size(value);
    const held = this.#keep(value);
    this.near.remember(key, held, this.native.attach(key, createdAt, held.slot, size));
    values.collect();
  }

  #keep(value: unknown): Held {
    return values.keep(this.clones ? cloned(value) : value);
  }

  #size(value: unknown): number {
    return this.#isSized ? sizeOf(value) : 0;
  }

  #forms(value: unknown): Encoded[] | undefined {
    if (this.#codecs.length === 0) return undefined;
    return this.#codecs.map(([id, instance]) => {
      const form = encoded(value, id, instance);
      if (form.error !== undefined && !this.#hasTold) {
        // Once: it is counted each time, and would otherwise be noticed by its price alone.
        this.#hasTold = true;
        failed(new CacheError("unsupported", form.error), "a tier keeps nothing of a value; another `serializer` may");
      }
      return form;
    });
  }

  // ---- verbs

  #found =
    <T>(key: string) =>
    (payload: Payload): Found<T> =>
      Found.read<T>(this, key, payload);

  maybe<T>(key: string, payload: Payload): Found<T> | undefined {
    const found = Found.read<T>(this, key, payload);
    return found.hasValue ? found : undefined;
  }

  begin<T>(key: string, ask: Ask, lineage?: number[], signal?: AbortSignal): Later<Found<T>> {
    return answer(
      lineage === undefined ? this.#verbs.begin(checked(key), ask.number) : this.#verbs.begin(checked(key), ask.number, lineage),
      this.#found<T>(key),
      signal,
    );
  }

  /** Like `begin`, for a caller that must not wait: `busy` where another one loads. */
  beginNow<T>(key: string, ask: Ask, lineage?: number[]): Found<T> {
    return answerNow(
      lineage === undefined ? this.#verbsNow.begin(checked(key), ask.number) : this.#verbsNow.begin(checked(key), ask.number, lineage),
      this.#found<T>(key),
    );
  }

  resume<T>(lease: Lease, ask: Ask): Later<Found<T>> {
    return answer(this.native.resume(lease.native, ask.native), this.#found<T>(lease.key));
  }

  resumeNow<T>(lease: Lease, ask: Ask): Found<T> {
    return answerNow(this.#now.resume(lease.native, ask.native), this.#found<T>(lease.key));
  }

  claim(key: string): Lease | undefined {
    return answerNow(this.native.claim(checked(key)), this.#found(key)).lease;
  }

  fulfil(lease: Lease, value: unknown, ask: Ask): Later<void> {
    return this.#fulfil(this.native, lease, value, ask);
  }

  fulfilNow(lease: Lease, value: unknown, ask: Ask): void {
    void this.#fulfil(this.#now, lease, value, ask);
  }

  #fulfil(core: NativeCore, lease: Lease, value: unknown, ask: Ask): Later<void> {
    // What cannot be copied is not kept; it is the answer of who asked all the same.
    const own = this.clones && !isCloneable(value) ? ask.withTtl("0") : ask;
    try {
      return this.#put(lease.key, value, (held, size, forms) => core.fulfil(lease.native, held.slot, size, forms, own.native));
    } catch (error) {
      // Whatever it was, the flight is over: those who wait get their turn.
      lease[Symbol.dispose]();
      throw error;
    }
  }

  fail<T>(lease: Lease): Found<T> | undefined {
    return answerNow(this.native.fail(lease.native), (payload) => this.maybe<T>(lease.key, payload));
  }

  patience(lease: Lease, ask: Ask): number | null {
    return this.native.patience(lease.native, ask.native);
  }

  /** Returns what to serve, or how many milliseconds to wait on. */
  overdue<T>(lease: Lease, ask: Ask, waited: number): Found<T> | number {
    const read = (payload: Payload): Found<T> | number => {
      return ANSWERS[At.kind] === Kind.number ? readNumber() : Found.read<T>(this, lease.key, payload);
    };
    return answerNow(this.native.overdue(lease.native, ask.native, waited), read);
  }

  entry<T>(key: string, ask: Ask, isFresh: boolean, signal?: AbortSignal): Later<Found<T> | undefined> {
    return answer(this.#verbs.entry(checked(key), ask.number, isFresh), (payload) => this.maybe<T>(key, payload), signal);
  }

  entryNow<T>(key: string, ask: Ask, isFresh: boolean): Found<T> | undefined {
    return answerNow(this.#verbsNow.entry(checked(key), ask.number, isFresh), (payload) => this.maybe<T>(key, payload));
  }

  put(key: string, value: unknown, ask: Ask): Later<void> {
    this.#refuseUncloneable(value);
    return this.#put(checked(key), value, (held, size, forms) =>
      forms === undefined ? this.#verbs.keep(key, held.slot, size, ask.number) : this.native.put(key, held.slot, size, forms, ask.native),
    );
  }

  putNow(key: string, value: unknown, ask: Ask): void {
    this.#refuseUncloneable(value);
    void this.#put(checked(key), value, (held, size, forms) =>
      forms === undefined ? this.#verbsNow.keep(key, held.slot, size, ask.number) : this.#now.put(key, held.slot, size, forms, ask.native),
    );
  }

  putLife(key: string, value: unknown, life: [number, number, number]): Later<void> {
    this.#refuseUncloneable(value);
    return this.#put(checked(key), value, (held, size, forms) => this.native.putLife(key, held.slot, size, forms, life));
  }

  putIfAbsent(key: string, value: unknown, ask: Ask): Later<boolean> {
    this.#refuseUncloneable(value);
    checked(key);
    const given = this.#given(value, (held, size, forms) => this.native.putIfAbsent(key, held.slot, size, forms, ask.native));
    return answer(given.payload, () => {
      this.near.forget(key);
      return readFlag();
    });
  }

  /** Gives a value to the core, which lets go of it in time; where that throws, the core has not taken it. */
  #given(value: unknown, give: (held: Held, size: number, forms: Encoded[] | undefined) => Payload): { held: Held; payload: Payload } {
    const [forms, size] = [this.#forms(value), this.#size(value)];
    const held = this.#keep(value);
    try {
      return { held, payload: give(held, size, forms) };
    } catch (error) {
      values.letGo(held.slot);
      throw error;
    }
  }

  /** Refuses what memory that copies cannot copy. */
  #refuseUncloneable(value: unknown): void {
    if (!this.clones || isCloneable(value)) return;
    throw new CacheError(
      "unsupported",
      `a value of type \`${typeName(value)}\` cannot be copied, which this memory does with all it keeps`,
    );
  }

  #put(key: string, value: unknown, put: (held: Held, size: number, forms: Encoded[] | undefined) => Payload): Later<void> {
    this.near.forget(key);
    const { held, payload } = this.#given(value, put);
    return answer(payload, () => {
      const until = readNumber();
      this.near.forget(key);
      this.near.remember(key, held, until);
    });
  }

  /** Deletes, marks or clears; whoever reads meanwhile asks. */
  #change<T>(forget: () => void, payload: () => Payload, read: () => T): Later<T> {
    forget();
    return answer(payload(), () => {
      forget();
      return read();
    });
  }

  #changed(key: string, payload: () => Payload): Later<void> {
    return this.#change(() => this.near.forget(key), payload, readNothing);
  }

  delete(key: string): Later<void> {
    return this.#changed(key, () => this.native.delete(checked(key)));
  }

  deleteNow(key: string): void {
    void this.#changed(key, () => this.#now.delete(checked(key)));
  }

  expire(key: string): Later<void> {
    return this.#changed(key, () => this.native.expire(checked(key)));
  }

  expireNow(key: string): void {
    void this.#changed(key, () => this.#now.expire(checked(key)));
  }

  clear(prefix: string): Later<number> {
    checked(prefix);
    return this.#change(
      () => this.near.forgetAll(prefix),
      () => this.native.clear(prefix),
      readNumber,
    );
  }

  exists(key: string): Later<boolean> {
    return answer(this.native.exists(checked(key)), readFlag);
  }

  existsNow(key: string): boolean {
    return answerNow(this.#now.exists(checked(key)), readFlag);
  }

  sweep(): Later<number> {
    return answer(this.native.sweep(), readNumber);
  }

  close(): Later<void> {
    this.isClosed = true;
    return answer(this.native.close(), readNothing);
  }

  distrust(key: string, tier: string | undefined, why: string): void {
    this.native.distrust(key, tier ?? "", why);
    this.near.forget(key);
    values.collect();
  }

  getMany<T>(keys: string[]): Later<Found<T>[]> {
    keys.forEach(checked);
    return answer(this.native.getMany(keys), (payload) => {
      const [data, numbers] = payload as unknown as [Payload[], Float64Array];
      return keys.map((key, at) => Found.readOne<T>(this, key, numbers, at * At.all, data[at] as Payload));
    });
  }

  putMany(entries: [string, unknown][], ask: Ask): Later<void> {
    for (const [key, value] of entries) {
      checked(key);
      this.#refuseUncloneable(value);
    }
    const keys = entries.map(([key]) => key);
    const forms = entries.map(([, value]) => this.#forms(value) ?? []);
    const sizes = entries.map(([, value]) => this.#size(value));
    const slots = entries.map(([, value]) => this.#keep(value).slot);
    const forget = (): void => {
      for (const key of keys) this.near.forget(key);
    };
    const give = (): Payload => {
      try {
        return this.native.putMany(keys, slots, sizes, forms, ask.native);
      } catch (error) {
        for (const slot of slots) values.letGo(slot);
        throw error;
      }
    };
    return this.#change(forget, give, readNothing);
  }

  keys(prefix: string): Later<string[]> {
    return answer(this.native.keys(checked(prefix)), (payload) => payload as unknown as string[]);
  }

  deleteMany(keys: string[]): Later<void> {
    keys.forEach(checked);
    return this.#change(
      () => keys.forEach((key) => this.near.forget(key)),
      () => this.native.deleteMany(keys),
      readNothing,
    );
  }
}
