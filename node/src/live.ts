/**
 * The values that JavaScript keeps for the core, each under a number.
 *
 * The core decides what memory holds and what has to go; it says so by number. Here they are where the garbage collector sees them.
 */
import type { NativeBridge } from "./native.js";

const CHUNK = 1 << 16;

/** One value, and until when it may be served without asking the core. */
export class Held {
  /** On the clock of hits; 0 means: ask. */
  plainUntil = 0;
  /** The place that finds it by key, once it has one. */
  index: Index | undefined = undefined;
  key = "";

  constructor(
    public value: unknown,
    readonly slot: number,
    /** Where a use is marked, so that memory keeps what is used. */
    readonly marks: Uint8Array,
    readonly at: number,
  ) {}
}

/** The values of one memory tier, by key. What is not here the core may have all the same. */
export type Index = Map<string, Held>;

/** Every value that the core knows by number. */
export class Values {
  readonly #held: (Held | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #marks: Uint8Array[] = [];

  constructor(readonly bridge: NativeBridge) {}

  /** Keeps a value, until the core lets go of its number. The core has to be told of it. */
  keep(value: unknown): Held {
    const slot = this.#free.pop() ?? this.#held.length;
    const chunk = Math.floor(slot / CHUNK);
    const marks = (this.#marks[chunk] ??= this.bridge.marks(chunk));
    const held = new Held(value, slot, marks, slot % CHUNK);
    this.#held[slot] = held;
    return held;
  }

  /** Returns what is kept under a number. */
  at(slot: number): Held {
    const held = this.#held[slot];
    if (held === undefined) throw new Error(`undercroft: nothing is kept under ${slot}`);
    return held;
  }

  /** Lets go of what the core has let go of. */
  collect(): void {
    for (const slot of this.bridge.released()) this.letGo(slot);
  }

  /** Lets go of one of them. */
  letGo(slot: number): void {
    const held = this.#held[slot];
    if (held === undefined) return;
    this.#held[slot] = undefined;
    this.#free.push(slot);
    held.plainUntil = 0;
    held.value = undefined;
    if (held.index?.get(held.key) === held) held.index.delete(held.key);
  }

  /** How many values are kept. */
  get size(): number {
    return this.#held.length - this.#free.length;
  }
}
