/** The JavaScript end of the bridge: answers, promises for those that come later, and calls of users' stores. */
import { fromRecord, type CacheError } from "./errors.js";
import { Values } from "./live.js";
import { native, type NativeBridge, type Payload } from "./native.js";

/** Where each number of an answer stands; `bindings/node/src/reply.rs` has the same list. */
export const At = {
  kind: 0,
  ticket: 1,
  state: 2,
  slot: 3,
  createdAt: 4,
  freshUntil: 5,
  staleUntil: 6,
  plainUntil: 7,
  tier: 8,
  codec: 9,
  instance: 10,
  lease: 11,
  released: 12,
  number: 13,
  first: 14,
  /** How many there are. */
  all: 16,
} as const;

export const Kind = { nothing: 0, pending: 1, failed: 2, found: 3, number: 4, many: 5, question: 6, idle: 7 } as const;

/** The core's end. */
export const bridge: NativeBridge = new native.Bridge(drain);
/** The numbers of the answer that came last. */
export const ANSWERS: Float64Array = bridge.answers;
/** The values that the core knows by number. */
export const values: Values = new Values(bridge);

interface Waiting {
  read: (payload: Payload) => unknown;
  resolve: (value: never) => void;
  reject: (error: unknown) => void;
  /** Where the call was made. */
  trace: { stack?: string };
}

const waiting = new Map<number, Waiting>();

/** Something that is there now, or comes later. */
export type Later<T> = T | Promise<T>;

/** Reads an answer: now, or when it comes. Rejects what is aborted, without an end to the work of others. */
export function answer<T>(payload: Payload, read: (payload: Payload) => T, signal?: AbortSignal): Later<T> {
  const kind = ANSWERS[At.kind];
  if (kind === Kind.pending) {
    if ((ANSWERS[At.first] as number) >= 0) values.letGo(ANSWERS[At.first] as number);
    return later(ANSWERS[At.ticket] as number, read, signal);
  }
  const first = ANSWERS[At.first] as number;
  const released = ANSWERS[At.released] as number;
  try {
    if (kind === Kind.failed) throw fromRecord(payload as unknown as string);
    return read(payload);
  } finally {
    if (first >= 0) values.letGo(first);
    if (released > 0) values.collect();
  }
}

/** Reads an answer that is always there at once. */
export function answerNow<T>(payload: Payload, read: (payload: Payload) => T): T {
  return answer(payload, read) as T;
}

function later<T>(ticket: number, read: (payload: Payload) => T, signal: AbortSignal | undefined): Promise<T> {
  const trace: { stack?: string } = {};
  Error.captureStackTrace(trace, answer);
  return new Promise<T>((resolve, reject) => {
    const entry: Waiting = { read, resolve: resolve, reject, trace };
    waiting.set(ticket, entry);
    if (signal === undefined) return;
    const abort = (): void => {
      if (!waiting.delete(ticket)) return;
      bridge.cancel(ticket);
      values.collect();
      reject(signal.reason);
    };
    const done = (): void => signal.removeEventListener("abort", abort);
    entry.resolve = (value) => (done(), resolve(value));
    entry.reject = (error) => (done(), reject(error));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** Takes everything that is done. It throws nothing: who threw here would keep all who wait from their answers. */
function drain(): void {
  for (;;) {
    const payload = bridge.next();
    const kind = ANSWERS[At.kind] as number;
    const first = ANSWERS[At.first] as number;
    if (kind !== Kind.idle) take(kind, ANSWERS[At.ticket] as number, payload);
    if (first >= 0) values.letGo(first);
    if (kind === Kind.idle) break;
  }
  values.collect();
}

function take(kind: number, ticket: number, payload: Payload): void {
  if (kind === Kind.question) return ask(ticket, payload);
  const entry = waiting.get(ticket);
  if (entry === undefined) return;
  waiting.delete(ticket);
  if (kind === Kind.failed) return entry.reject(traced(fromRecord(payload as unknown as string), entry.trace));
  try {
    entry.resolve(entry.read(payload) as never);
  } catch (error) {
    entry.reject(error);
  }
}

/** Gives an error the stack of the call that it is the answer to. */
function traced(error: CacheError, trace: { stack?: unknown }): CacheError {
  try {
    // Whoever prepares stack traces in this process may make anything of them.
    const { stack } = trace;
    const frames = typeof stack === "string" ? stack.split("\n").slice(1).join("\n") : "";
    error.stack = `${error.name}: ${error.message}${frames === "" ? "" : `\n${frames}`}`;
  } catch {
    // Without the frames it is the same error.
  }
  return error;
}

/** What answers that are numbers, or nothing, are read with. */
export const readNumber = (): number => ANSWERS[At.number] as number;
export const readFlag = (): boolean => ANSWERS[At.number] !== 0;
export const readNothing = (): void => undefined;

// ---- users' stores

/** How a question to a store is answered. */
export interface Question {
  verb: string;
  key: string;
  value: unknown;
  ttl: number;
  life: [number, number, number];
}

/** What a store answers. */
export interface Said {
  flag: boolean;
  value?: { of: unknown };
  life?: [number, number, number];
  count?: number;
}

/** What a store of the user's is kept as: something that answers questions. */
export class Asked {
  readonly #store: WeakRef<object>;

  /** The store itself is kept by its tier: the core's hold on this must not keep it for ever. */
  constructor(
    store: object,
    readonly answer: (store: never, question: Question) => Promise<Said>,
  ) {
    this.#store = new WeakRef(store);
  }

  async say(question: Question): Promise<Said> {
    const store = this.#store.deref();
    if (store === undefined) throw new Error("the store is gone");
    return this.answer(store as never, question);
  }
}

function ask(number: number, payload: Payload): void {
  const [verb, key] = payload as unknown as [string, string];
  const slot = ANSWERS[At.slot] as number;
  const question: Question = {
    verb,
    key,
    value: slot < 0 ? undefined : values.at(slot).value,
    ttl: ANSWERS[At.number] as number,
    life: [ANSWERS[At.createdAt] as number, ANSWERS[At.freshUntil] as number, ANSWERS[At.staleUntil] as number],
  };
  const store = values.at(ANSWERS[At.state] as number).value as Asked;
  const said = ({ flag, value, life, count }: Said): void => {
    const held = value === undefined ? undefined : values.keep(value.of);
    try {
      bridge.answer(number, flag, held?.slot, life, count);
    } catch (error) {
      if (held !== undefined) values.letGo(held.slot);
      throw error;
    }
    values.collect();
  };
  // Asynchronous, whatever the store is: it throws nothing into the loop that asks.
  store
    .say(question)
    .then(said)
    .catch((error: unknown) => bridge.refuse(number, textOf(error)));
}

/** Says what was thrown, whatever that is. */
function textOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error);
  } catch {
    return "it threw what has no text";
  }
}
