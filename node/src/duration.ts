/** Durations: seconds as a number, or text such as `"250ms"`, `"5m"`, `"1h"`. */
import { CacheError, guarded } from "./errors.js";
import { native } from "./native.js";

/** Seconds, or text with a unit: `ms`, `s`, `m`, `h`, `d`. */
export type Duration = number | string;

/** Writes a duration as the core reads it; `null` and `Infinity` mean no end, and what is below zero is zero. */
export function durationText(duration: Duration | null | undefined): string {
  if (typeof duration === "number") {
    if (Number.isNaN(duration)) throw new CacheError("config_invalid", "a duration is not a number (NaN)");
    return duration === Infinity ? "null" : String(Math.max(0, duration));
  }
  if (duration !== null && duration !== undefined && typeof duration !== "string") {
    throw new CacheError("config_invalid", `a duration is a number of seconds or a text such as "5m", not \`${typeof duration}\``);
  }
  return JSON.stringify(duration ?? null);
}

/** Returns how many seconds a duration takes; `Infinity` for no end. */
export function seconds(duration: Duration | null | undefined): number {
  return guarded(() => native.duration(durationText(duration))) / 1000;
}

/** Says whether a duration is zero or less. */
export function isNone(duration: Duration): boolean {
  return typeof duration === "number" ? duration <= 0 : seconds(duration) <= 0;
}
