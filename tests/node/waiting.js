// Waiting for things to happen: by looking, never by trusting a time.
import { setTimeout as sleep } from "node:timers/promises";

/** Waits until `test` is true. Without an end of its own: the test run has one. */
export async function until(test) {
  while (!(await test())) await sleep(1);
}

/** Returns a promise, and what settles it. */
export function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

/** Lets all that is ready run. */
export const turns = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Blocks the thread: what only functions that are not asynchronous can see. */
export const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
