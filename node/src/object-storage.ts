/** Object storage: S3, whatever speaks its protocol, and Google Cloud Storage. */
import type { Serializer } from "./codecs.js";
import { Core } from "./core.js";
import type { Duration } from "./duration.js";
import { invalid } from "./errors.js";
import { refuseUnknown } from "./options.js";
import { Store } from "./stores.js";
import { objectTier } from "./tier.js";

/** Settings that both services have. */
export interface ObjectOptions {
  /** Stands before every key, `cache/` for example. The name of an object is exactly `prefix + key`. */
  prefix?: string | undefined;
  /** How values become bytes; JSON by default. */
  serializer?: Serializer | undefined;
  /** `true` for gzip (the default), a level, `"zstd"`, or `false`. */
  compress?: boolean | number | "gzip" | "zstd" | undefined;
  /** 1 to 9 for gzip (6 by default), 1 to 19 for zstd (1 by default). */
  compressLevel?: number | undefined;
  /** Whether a value that is there already is left, and its deadlines renewed in place. */
  dedupeWrites?: boolean | undefined;
  /** Address of a service that is not the usual one. */
  endpointUrl?: string | undefined;
  anonymous?: boolean | undefined;
  storageClass?: string | undefined;
  kmsKey?: string | undefined;
  /** How many requests may be under way; 32 by default. */
  concurrency?: number | undefined;
  /** How many bytes of copies are kept to be confirmed instead of sent again, as a number or `"16MiB"`; 0 for none. */
  revalidate?: number | string | undefined;
  prices?: Record<string, number> | undefined;
  maxValue?: number | string | undefined;
  timeout?: Duration | undefined;
  retries?: number | undefined;
  backoff?: Duration | undefined;
  /** After how many failures in a row the tier is left alone for `cooldown`. */
  breaker?: number | undefined;
  cooldown?: Duration | undefined;
  /** What a failure means: a miss (the default), or an error of the call. */
  onError?: "miss" | "raise" | undefined;
}

/** Settings of a bucket of S3. Without a key, credentials come from where AWS's own tools take them. */
export interface S3Options extends ObjectOptions {
  region?: string | undefined;
  accessKeyId?: string | undefined;
  secretAccessKey?: string | undefined;
  sessionToken?: string | undefined;
  profile?: string | undefined;
  pathStyle?: boolean | undefined;
  useFips?: boolean | undefined;
  useDualStack?: boolean | undefined;
  sse?: string | undefined;
  requestPayer?: boolean | undefined;
  tags?: Record<string, string> | undefined;
}

/** Settings of a bucket of Google Cloud Storage. Without them, the application default credentials are used. */
export interface GCSOptions extends ObjectOptions {
  /** Path of a service account's file. */
  credentials?: string | undefined;
  /** An access token. */
  token?: string | undefined;
  userProject?: string | undefined;
}

const OBJECT = ["prefix", "serializer", "compress", "compressLevel", "dedupeWrites", "endpointUrl", "anonymous", "storageClass", "kmsKey"];
const GUARD = ["concurrency", "revalidate", "prices", "maxValue", "timeout", "retries", "backoff", "breaker", "cooldown", "onError"];
const S3 = ["region", "accessKeyId", "secretAccessKey", "sessionToken", "profile", "pathStyle", "useFips", "useDualStack", "sse"];
const GCS = ["credentials", "token", "userProject"];

/**
 * A bucket of S3, or of a service that speaks its protocol.
 *
 * The value is the object's body, deadlines and serializer are its metadata: other tools see plain content, and a reader needs no
 * settings. What is expired is not downloaded, `exists` is a HEAD, and a value that this process has read before is confirmed, not sent again.
 */
export class S3Cache extends Store {
  constructor(bucket: string, options: S3Options = {}) {
    refuseUnknown(options, [...OBJECT, ...GUARD, ...S3, "requestPayer", "tags"], "S3Cache");
    super(open("s3", bucket, options));
  }
}

/** A bucket of Google Cloud Storage; see `S3Cache` for the rest. */
export class GCSCache extends Store {
  constructor(bucket: string, options: GCSOptions = {}) {
    refuseUnknown(options, [...OBJECT, ...GUARD, ...GCS], "GCSCache");
    super(open("gs", bucket, options));
  }
}

function open(scheme: string, bucket: string, options: ObjectOptions): Core {
  if (typeof bucket !== "string" || bucket === "") throw invalid("`bucket` must be the name of a bucket");
  const { serializer, compress, compressLevel, dedupeWrites, ...rest } = options;
  const settings: Record<string, unknown> = {
    url: `${scheme}://${bucket}`,
    prefix: "",
    compress: squeeze(compress ?? true, compressLevel),
    dedupe: dedupeWrites ?? false,
  };
  for (const [name, value] of Object.entries(rest)) {
    // The names of the configuration, which every language shares.
    if (value !== undefined && value !== null) settings[name.replace(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`)] = value;
  }
  return Core.over([objectTier(settings, serializer ?? "json")], "{}");
}

function squeeze(compress: boolean | number | string, level: number | undefined): boolean | number | string {
  if (level === undefined) return compress === "gzip" ? true : compress;
  if (compress === "zstd") return `zstd:${level}`;
  if (compress !== true && compress !== "gzip") return compress;
  if (!Number.isInteger(level) || level < 1 || level > 9) throw invalid(`\`compressLevel\` must be from 1 to 9, not ${level}`);
  return level;
}
