/** Arguments as text: Python's format specifications (PEP 3101), so that a template makes the same keys in every language. */
import { CacheError, invalid } from "./errors.js";

const SPEC =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alternate>#)?(?<zero>0)?(?<width>\d+)?(?<group>[,_])?(?:\.(?<precision>\d+))?(?<type>[bcdeEfFgGnosxX%])?$/su;

/** A format specification, read. */
export interface Spec {
  fill: string;
  align: string | undefined;
  sign: string;
  alternate: boolean;
  width: number;
  group: string | undefined;
  precision: number | undefined;
  type: string | undefined;
}

/** Reads what follows the colon of a placeholder. */
export function readSpec(source: string, template: string): Spec | undefined {
  if (source === "") return undefined;
  const match = SPEC.exec(source)?.groups;
  if (match === undefined) throw invalid(`key template \`${template}\`: \`${source}\` is no format specification`);
  const zero = match["zero"] !== undefined;
  return {
    fill: match["fill"] ?? (zero && match["align"] === undefined ? "0" : " "),
    align: match["align"] ?? (zero ? "=" : undefined),
    sign: match["sign"] ?? "-",
    alternate: match["alternate"] !== undefined,
    width: Number(match["width"] ?? 0),
    group: match["group"],
    precision: match["precision"] === undefined ? undefined : Number(match["precision"]),
    type: match["type"],
  };
}

/** Writes a value as a specification says. */
export function format(value: unknown, spec: Spec): string {
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (!isNumber || spec.type === "s") {
    if (spec.type !== undefined && spec.type !== "s") throw wrong(`\`${spec.type}\` formats numbers, not a ${typeof value}`);
    const text = plain(value);
    const cut = spec.precision === undefined ? text : [...text].slice(0, spec.precision).join("");
    return padded("", cut, spec, "<");
  }
  const isNegative = value < 0 || Object.is(value, -0);
  const sign = isNegative ? "-" : spec.sign === "-" ? "" : spec.sign;
  return padded(sign, grouped(digits(isNegative ? -value : value, spec), spec), spec, ">");
}

function wrong(message: string): CacheError {
  return new CacheError("key_invalid", message);
}

function digits(value: number | bigint, spec: Spec): string {
  const type = spec.type ?? (Number.isInteger(Number(value)) && spec.precision === undefined ? "d" : "g");
  const radix = { b: 2, o: 8, x: 16, X: 16 }[type];
  if (radix !== undefined) {
    const text = value.toString(radix);
    return (spec.alternate ? `0${type}` : "") + (type === "X" ? text.toUpperCase() : text);
  }
  const number = Number(value);
  switch (type) {
    case "c":
      return String.fromCodePoint(number);
    case "d":
      if (!Number.isInteger(number)) throw wrong(`\`d\` formats whole numbers, not ${number}`);
      return BigInt(value).toString();
    case "f":
    case "F":
      return number.toFixed(spec.precision ?? 6);
    case "%":
      return `${(number * 100).toFixed(spec.precision ?? 6)}%`;
    case "e":
    case "E": {
      const text = exponent(number.toExponential(spec.precision ?? 6));
      return type === "E" ? text.toUpperCase() : text;
    }
    default: {
      if (spec.type === undefined && spec.precision === undefined) return plain(value);
      const text = general(number, Math.max(1, spec.precision ?? 6));
      return type === "G" ? text.toUpperCase() : text;
    }
  }
}

/** Two digits of exponent at least, as everywhere but in JavaScript. */
function exponent(text: string): string {
  return text.replace(/e([-+])(\d)$/u, "e$10$2");
}

function general(number: number, precision: number): string {
  if (number === 0) return "0";
  const written = number.toExponential(precision - 1);
  const power = Number(written.slice(written.indexOf("e") + 1));
  if (power < -4 || power >= precision) return exponent(written.replace(/\.?0+e/u, "e"));
  const fixed = number.toFixed(precision - 1 - power);
  return fixed.includes(".") ? fixed.replace(/\.?0+$/u, "") : fixed;
}

function grouped(text: string, spec: Spec): string {
  if (spec.group === undefined) return text;
  const [whole, ...rest] = text.split(".");
  return [(whole as string).replace(/\B(?=(\d{3})+(?!\d))/gu, spec.group), ...rest].join(".");
}

function padded(sign: string, text: string, spec: Spec, natural: string): string {
  const missing = Math.max(0, spec.width - [...sign, ...text].length);
  const align = spec.align ?? natural;
  if (align === "=") return sign + spec.fill.repeat(missing) + text;
  const before = align === "<" ? 0 : align === "^" ? Math.floor(missing / 2) : missing;
  return spec.fill.repeat(before) + sign + text + spec.fill.repeat(missing - before);
}

/** Writes a value as it is. */
export function plain(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "bigint":
    case "boolean":
      return String(value);
    case "object":
      break;
    default:
      throw wrong(`a ${typeof value} has no text to make a key of`);
  }
  if (value === null) return "null";
  if (value instanceof Date) return value.toISOString();
  const text: unknown = (value as { toString?: unknown }).toString;
  if (Array.isArray(value) || typeof text !== "function" || text === Object.prototype.toString) {
    const name = (value.constructor as { name?: string } | undefined)?.name ?? "object";
    throw wrong(
      `an argument of type \`${name}\` has no text of its own to make a key of; name a part of it in the template, or give a function as key`,
    );
  }
  return String(text.call(value));
}
