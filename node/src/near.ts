/** What JavaScript may serve by itself: the values of memory, by key, and until when. */
import type { Held, Index } from "./live.js";

export class Near {
  constructor(
    /** The values of the near tier; `undefined` without one. */
    readonly index: Index | undefined,
    /** Those of memory further back. */
    readonly others: readonly Index[],
  ) {}

  /** Takes note until when a value may be served without a question. */
  remember(key: string, held: Held, plainUntil: number): void {
    const { index } = this;
    // Found in one place alone: a value that two chains share is not served by the one after the other has deleted it.
    if (index === undefined || plainUntil === 0 || (held.index !== undefined && held.index !== index)) return;
    held.plainUntil = plainUntil;
    if (held.index === index) return;
    held.index = index;
    held.key = key;
    const before = index.get(key);
    if (before !== undefined) before.plainUntil = 0;
    index.set(key, held);
  }

  /** Has the next reader of a key ask. */
  forget(key: string): void {
    const held = this.index?.get(key);
    if (held !== undefined) held.plainUntil = 0;
    for (const index of this.others) {
      const held = index.get(key);
      if (held !== undefined) held.plainUntil = 0;
    }
  }

  /** Has the next reader of anything that begins with `prefix` ask. */
  forgetAll(prefix: string): void {
    for (const index of this.index === undefined ? this.others : [this.index, ...this.others]) {
      for (const [key, held] of index) if (key.startsWith(prefix)) held.plainUntil = 0;
    }
  }
}
