/** Undercroft: one cache, from memory to object storage. */
export { onBackgroundError, settled, type BackgroundListener } from "./background.js";
export { Cache, openCache, type Asking, type Config, type OpenOptions, type Policy, type TierConfig } from "./cache.js";
export type { CustomCodec, Serializer } from "./codecs.js";
export {
  cache,
  Cached,
  CachedSync,
  SWRCache,
  TTLCache,
  type CachedFunction,
  type CacheOptions,
  type CommonOptions,
  type MethodOptions,
  type SWROptions,
  type TTLOptions,
} from "./decorators.js";
export type { Duration } from "./duration.js";
export { CacheError, type ErrorCode } from "./errors.js";
export { Found, Lease, type State } from "./found.js";
export { offers, type CacheInfo, type CallOptions, type Offers, type Stats, type TierStats } from "./function.js";
export { bg, BGCache, type LoaderOptions, type Reader, type ReaderOptions } from "./loaders.js";
export { GCSCache, S3Cache, type GCSOptions, type ObjectOptions, type S3Options } from "./object-storage.js";
export {
  ChainCache,
  HybridCache,
  InMemCache,
  LocalFileCache,
  Store,
  validateCacheStorage,
  type CacheEntry,
  type CacheStorage,
  type HybridOptions,
  type InMemOptions,
  type Level,
  type LocalFileOptions,
  type StoreLike,
} from "./stores.js";
