/** What a look found: the value, its deadlines, and perhaps the lease. */
import { ANSWERS, At, answerNow, values } from "./bridge.js";
import { codecName, decoded } from "./codecs.js";
import type { Core } from "./core.js";
import { guarded } from "./errors.js";
import type { NativeLease, Payload } from "./native.js";

const STATES = ["miss", "hit", "stale", "busy"] as const;

/** `hit`: fresh. `stale`: may be served while one caller refreshes it. `miss`: load it. */
export type State = (typeof STATES)[number];

const UNREAD = Symbol("unread");

/** What a look found. */
export class Found<T = unknown> {
  /** What it is. */
  readonly state: State;
  /** The name of the tier that answered; `undefined` for the loader. */
  readonly tier: string | undefined;
  /** When the value was made, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Until when it is fresh; `Infinity` for ever. */
  readonly freshUntil: number;
  /** Until when it may be served at all. */
  readonly staleUntil: number;
  /** The lease, for the one who is to load. */
  readonly lease: Lease | undefined;
  readonly key: string;
  readonly #core: Core;
  readonly #codec: number;
  readonly #instance: number;
  #data: Uint8Array | string | undefined;
  #value: unknown = UNREAD;

  private constructor(
    core: Core,
    key: string,
    state: State,
    numbers: Float64Array,
    from: number,
    data: Payload,
    lease: NativeLease | undefined,
  ) {
    this.#core = core;
    this.key = key;
    this.state = state;
    this.lease = lease === undefined ? undefined : new Lease(lease, core);
    const has = state === "hit" || state === "stale";
    this.createdAt = has ? (numbers[from + At.createdAt] as number) : 0;
    this.freshUntil = has ? (numbers[from + At.freshUntil] as number) : 0;
    this.staleUntil = has ? (numbers[from + At.staleUntil] as number) : 0;
    this.tier = has ? core.names[numbers[from + At.tier] as number] : undefined;
    const slot = has ? (numbers[from + At.slot] as number) : -1;
    const isBytes = has && slot < 0;
    this.#codec = isBytes ? (numbers[from + At.codec] as number) : 0;
    this.#instance = isBytes ? (numbers[from + At.instance] as number) : 0;
    if (!has) return;
    if (slot < 0) {
      this.#data = data as unknown as Uint8Array | string;
      return;
    }
    const held = values.at(slot);
    this.#value = held.value;
    core.near.remember(key, held, numbers[from + At.plainUntil] as number);
  }

  /** Reads the answer that came last. */
  static read<T>(core: Core, key: string, payload: Payload): Found<T> {
    const state = STATES[ANSWERS[At.state] as number] as State;
    const has = state === "hit" || state === "stale";
    if (ANSWERS[At.lease] === 0) return new Found(core, key, state, ANSWERS, 0, payload, undefined);
    const [data, lease] = (has ? payload : [undefined, payload]) as unknown as [Payload, NativeLease];
    return new Found(core, key, state, ANSWERS, 0, data, lease);
  }

  /** Reads one of many. */
  static readOne<T>(core: Core, key: string, numbers: Float64Array, from: number, data: Payload): Found<T> {
    return new Found(core, key, STATES[numbers[from + At.state] as number] as State, numbers, from, data, undefined);
  }

  /** Whether there is a value; `undefined` and `null` are values. */
  get hasValue(): boolean {
    return this.state === "hit" || this.state === "stale";
  }

  /**
   * The value. What came as bytes is decoded once, and memory keeps the decoded one.
   *
   * @throws {CacheError} `corrupt` when the bytes are not what their codec says.
   */
  get value(): T {
    if (this.#value === UNREAD) {
      const data = this.#data;
      this.#value = data === undefined ? undefined : decoded(data, this.#codec, this.#instance, this.tier);
      if (data !== undefined) this.#core.attach(this.key, this.createdAt, this.#value);
      this.#data = undefined;
    }
    return this.#core.lent(this.#value) as T;
  }

  /** The codec of the bytes that it came as; `undefined` for a value of this process. */
  get codec(): string | undefined {
    return this.#codec === 0 ? undefined : codecName(this.#codec);
  }

  /** Whether it is fresh now. */
  get isFresh(): boolean {
    return this.hasValue && Date.now() < this.freshUntil;
  }
}

/** The right, and duty, to load a key. A lease that nobody holds any more goes to the next who waits. */
export class Lease {
  constructor(
    /** The core's half. */
    readonly native: NativeLease,
    readonly core: Core,
  ) {}

  /** The key to load. */
  get key(): string {
    return this.native.key;
  }

  /** The number of the flight, for those inside its loader. */
  get flight(): number {
    return this.native.flight;
  }

  /** Whether it was superseded by a delete or a put. */
  get isRevoked(): boolean {
    return this.native.isRevoked;
  }

  /** The old value, where there is one. */
  get spare(): Found | undefined {
    return answerNow(this.native.spare(), (payload) => this.core.maybe(this.key, payload));
  }

  /** Hands the lease to the next who waits. */
  drop(): void {
    guarded(() => this.native.drop());
  }

  [Symbol.dispose](): void {
    try {
      this.native.drop();
    } catch {
      // It has ended already, as it should have.
    }
  }
}
