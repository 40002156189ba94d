/** Arguments as text: Python's format specifications (PEP 3101), so that a template makes the same keys in every language. */
import { CacheError, invalid } from "./errors.js";

const SPEC =
  /^(?:(?<fill>.)?(?<align>[<>=^]))?(?<sign>[-+ ])?(?<alternate>#)?(?<zero>0)?(?<width>\d+)?(?<group>[,_])?(?:\.(?<precision>\d+))?(?<type>[bcdeEfFgGnosxX%])?$/su;

/** A format specification, read. */
export interface Spec {
  fill: string;
  align: string | undefined;
  /** Whether numbers are filled with zeros. */
  zero: boolean;
  sign: string | undefined;
  alternate: boolean;
  width: number;
  group: string | undefined;
  precision: number | undefined;
  type: string | undefined;
}

const WIDEST = 1024;
const FINEST = 100;

/** Reads what follows the colon of a placeholder. */
export function readSpec(source: string, template: string): Spec | undefined {
  if (source === "") return undefined;
  const match = SPEC.exec(source)?.groups;
  const refuse = (what: string): CacheError => invalid(`key template \`${template}\`: \`${source}\` ${what}`);
  if (match === undefined) throw refuse("is no format specification");
  const zero = match["zero"] !== undefined;
  const spec = {
    fill: match["fill"] ?? (zero ? "0" : " "),
    align: match["align"],
    zero: zero && match["align"] === undefined,
    sign: match["sign"],
    alternate: match["alternate"] !== undefined,
    width: Number(match["width"] ?? 0),
    group: match["group"],
    precision: match["precision"] === undefined ? undefined : Number(match["precision"]),
    type: match["type"],
  };
  if (spec.width > WIDEST || (spec.precision ?? 0) > FINEST) throw refuse("is wider or finer than keys need");
  const isWhole = spec.type !== undefined && "bcdnoxX".includes(spec.type);
  if (spec.precision !== undefined && isWhole && spec.type !== "n") throw refuse("gives a precision to a whole number");
  if (spec.alternate && !isWhole) throw refuse("asks for another form, which only whole numbers have");
  return spec;
}

/** Writes a value as a specification says. */
export function format(given: unknown, spec: Spec): string {
  const value = typeof given === "boolean" && spec.type !== undefined && spec.type !== "s" ? Number(given) : given;
  const isNumber = typeof value === "number" || typeof value === "bigint";
  if (!isNumber) {
    if (spec.type !== undefined && spec.type !== "s") throw wrong(`\`${spec.type}\` formats numbers, not a ${typeof value}`);
    if (spec.align === "=" || spec.sign !== undefined || spec.group !== undefined)
      throw wrong(`signs and groups are for numbers, not for a ${typeof value}`);
    const text = plain(value);
    const cut = spec.precision === undefined ? text : [...text].slice(0, spec.precision).join("");
    return padded("", cut, spec, "<");
  }
  if (spec.type === "s") throw wrong("`s` formats texts, not numbers");
  const isNegative = value < 0 || Object.is(value, -0);
  const sign = isNegative ? "-" : spec.sign === undefined || spec.sign === "-" ? "" : spec.sign;
  const [start, text] = digits(isNegative ? -value : value, { ...spec, width: spec.width - sign.length });
  return padded(sign + start, text, spec, ">");
}

function wrong(message: string): CacheError {
  return new CacheError("key_invalid", message);
}

const RADIXES: Record<string, number> = { b: 2, o: 8, x: 16, X: 16 };

/** Returns what stands before the digits (`0x`), and the digits. */
function digits(value: number | bigint, spec: Spec): [string, string] {
  const isWhole = typeof value === "bigint" || Number.isInteger(value);
  const type = spec.type === "n" ? (isWhole ? "d" : "g") : (spec.type ?? (isWhole && spec.precision === undefined ? "d" : undefined));
  if (type !== undefined && "bcdoxX".includes(type)) {
    if (!isWhole) throw wrong(`\`${type}\` formats whole numbers, not ${value}`);
    const whole = BigInt(value);
    if (type === "c") return ["", character(whole)];
    const text = whole.toString(RADIXES[type] ?? 10);
    return [
      spec.alternate && type !== "d" ? `0${type}` : "",
      grouped(type === "X" ? text.toUpperCase() : text, spec, type === "d" ? 3 : 4),
    ];
  }
  const number = Number(value);
  switch (type) {
    case "f":
    case "F":
      return ["", grouped(fixed(number, spec.precision ?? 6), spec, 3)];
    case "%":
      return ["", `${grouped(fixed(number * 100, spec.precision ?? 6), spec, 3)}%`];
    case "e":
    case "E": {
      const text = exponential(number, spec.precision ?? 6);
      return ["", type === "E" ? text.toUpperCase() : text];
    }
    default: {
      if (type === undefined && spec.precision === undefined) return ["", grouped(plain(number), spec, 3)];
      const text = general(number, Math.max(1, spec.precision ?? 6));
      return ["", grouped(type === "G" ? text.toUpperCase() : text, spec, 3)];
    }
  }
}

function character(code: bigint): string {
  if (code > 0x10ffffn) throw wrong(`no character has the number ${code}`);
  return String.fromCodePoint(Number(code));
}

/** Rounds to the nearest, and what lies between two to the even one, as Python does. */
function fixed(number: number, precision: number): string {
  if (number >= 1e21) return BigInt(number).toString() + (precision > 0 ? `.${"0".repeat(precision)}` : "");
  const rounded = number.toFixed(precision);
  // With this many digits more, a double that lies between shows it.
  const exact = number.toFixed(Math.min(FINEST, precision + 60));
  const cut = exact.length - (Math.min(FINEST, precision + 60) - precision);
  const rest = exact.slice(cut).replace(".", "");
  const down = exact.slice(0, precision === 0 ? cut - 1 : cut);
  return /^50*$/u.test(rest) && /[02468]$/u.test(down) ? down : rounded;
}

function exponential(number: number, precision: number): string {
  const exact = number.toExponential(FINEST);
  const at = exact.indexOf("e");
  const rest = exact.slice(precision === 0 ? 2 : 2 + precision, at);
  const down = exact.slice(0, precision === 0 ? 1 : 2 + precision);
  const isBetween = /^50*$/u.test(rest) && /[02468]$/u.test(down);
  return twoDigits(isBetween ? down + exact.slice(at) : number.toExponential(precision));
}

/** Two digits of exponent at least, as everywhere but in JavaScript. */
function twoDigits(text: string): string {
  return text.replace(/e([-+])(\d)$/u, "e$10$2");
}

function general(number: number, precision: number): string {
  if (number === 0) return "0";
  const written = exponential(number, precision - 1);
  const power = Number(written.slice(written.indexOf("e") + 1));
  if (power < -4 || power >= precision) return written.includes(".") ? written.replace(/\.?0+e/u, "e") : written;
  const text = fixed(number, precision - 1 - power);
  return text.includes(".") ? text.replace(/\.?0+$/u, "") : text;
}

function grouped(text: string, spec: Spec, size: number): string {
  if (spec.group === undefined) return text;
  const [, whole = "", rest = ""] = /^([0-9a-fA-F]*)(.*)$/u.exec(text) ?? [];
  const separate = (digits: string): string =>
    digits.replace(new RegExp(`\\B(?=([0-9a-fA-F]{${size}})+(?![0-9a-fA-F]))`, "gu"), spec.group as string);
  let digits = whole;
  // Zeros in front are grouped too.
  while (spec.zero && separate(digits).length + rest.length < spec.width) digits = `0${digits}`;
  return separate(digits) + rest;
}

function padded(start: string, text: string, spec: Spec, natural: string): string {
  const missing = Math.max(0, spec.width - [...start, ...text].length);
  const align = spec.align ?? (spec.zero && natural === ">" ? "=" : natural);
  if (align === "=") return start + spec.fill.repeat(missing) + text;
  const before = align === "<" ? 0 : align === "^" ? Math.floor(missing / 2) : missing;
  return spec.fill.repeat(before) + start + text + spec.fill.repeat(missing - before);
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
