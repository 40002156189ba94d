/** What went wrong, as a closed list: the same in every language. */
export type ErrorCode =
  | "config_invalid"
  | "key_invalid"
  | "unsupported"
  | "denied"
  | "conflict"
  | "too_large"
  | "unavailable"
  | "timeout"
  | "throttled"
  | "corrupt"
  | "lease_lost"
  | "closed"
  | "internal";

const RETRYABLE: ReadonlySet<string> = new Set<ErrorCode>(["unavailable", "timeout", "throttled"]);

/** An error of the cache. What a loader throws stays what it is. */
export class CacheError extends Error {
  /** What went wrong. */
  readonly code: ErrorCode;
  /** The tier where it happened. */
  readonly tier: string | undefined;
  /** Whether the same call may succeed if it is made again. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: { tier?: string | undefined; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.tier = options.tier;
    this.retryable = RETRYABLE.has(code);
  }

  override get name(): string {
    return "CacheError";
  }
}

const UNIT = "\u001f";

/** Reads an error as the core writes it: code, tier and message. */
export function fromRecord(record: string): CacheError {
  const [code, tier, ...message] = record.split(UNIT);
  const text = message.join(UNIT);
  return new CacheError(code as ErrorCode, tier ? `${text} (tier \`${tier}\`)` : text, { tier: tier || undefined });
}

/** Calls into the core, whose errors become ours. */
export function guarded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && error.message.includes(UNIT)) throw fromRecord(error.message);
    throw error;
  }
}

/** Refuses what is the caller's mistake. */
export function invalid(message: string, cause?: unknown): CacheError {
  return new CacheError("config_invalid", message, cause === undefined ? {} : { cause });
}
