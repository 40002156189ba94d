/** Work that nobody waits for: refreshes, and loads that went on without their callers. */
import { AsyncLocalStorage } from "node:async_hooks";

const under = new Set<Promise<unknown>>();

/** Is told of what fails in the background. */
export type BackgroundListener = (error: unknown, what: string) => void;

let listener: BackgroundListener = (error, what) => {
  process.emitWarning(`${what}: ${error instanceof Error ? error.message : String(error)}`, {
    type: "UndercroftWarning",
    ...(error instanceof Error && error.stack !== undefined ? { detail: error.stack } : {}),
  });
};

/** Sets who is told of what fails in the background; by default the process warns. Returns who was told before. */
export function onBackgroundError(next: BackgroundListener): BackgroundListener {
  const before = listener;
  listener = next;
  return before;
}

/** Tells of a failure. */
export function failed(error: unknown, what: string): void {
  listener(error, what);
}

/** Lets work go on by itself, until it ends. */
export function background<T>(work: Promise<T>): Promise<T> {
  under.add(work);
  const done = (): void => void under.delete(work);
  work.then(done, done);
  return work;
}

/** Waits for all work in the background. */
export async function settled(): Promise<void> {
  while (under.size > 0) await Promise.allSettled(under);
}

// ---- the flights whose loaders the running code is part of

/**
 * A loader that asks for its own key would wait for itself for ever; this is how the core notices.
 *
 * Following asynchronous calls slows down every promise of the process before Node 24, so it is done only while loaders run.
 */
const lineage = new AsyncLocalStorage<readonly number[]>();
let loading = 0;

/** Returns the flights that the running code is part of. */
export function flights(): number[] | undefined {
  const inside = loading === 0 ? undefined : lineage.getStore();
  return inside === undefined || inside.length === 0 ? undefined : [...inside];
}

/** Runs a loader as part of a flight. */
export async function inside<T>(flight: number, load: () => T | PromiseLike<T>): Promise<T> {
  const outer = loading === 0 ? [] : (lineage.getStore() ?? []);
  loading += 1;
  try {
    return await lineage.run([...outer, flight], load);
  } finally {
    left();
  }
}

/** Runs a loader that ends before it returns as part of a flight. */
export function insideNow<T>(flight: number, load: () => T): T {
  const outer = loading === 0 ? [] : (lineage.getStore() ?? []);
  loading += 1;
  try {
    return lineage.run([...outer, flight], load);
  } finally {
    left();
  }
}

/** Runs work that is part of no flight. */
export function outside<T>(work: () => T): T {
  return loading === 0 ? work() : lineage.run([], work);
}

function left(): void {
  loading -= 1;
  if (loading === 0) lineage.disable();
}
