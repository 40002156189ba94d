//! The crate `object_store`, as its users have it: defaults, but for plain HTTP.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;

use crate::Outcome;
use crate::options::Options;
use crate::watch::{Sample, WARM_UP, passes};

/// Gets every key, some at once, and checks that each value is as long as it should be.
pub async fn get(options: &Options) -> Outcome<Sample> {
    let (store, paths, width) = (open(options)?, paths(options)?, options.concurrency()?);
    let size = options.size()?;
    let pass = async |paths: &[Path]| -> Outcome<()> {
        let values: Vec<Bytes> = stream::iter(paths).map(async |path| store.get(path).await?.bytes().await).buffer_unordered(width).try_collect().await?;
        if values.iter().any(|value| value.len() != size) {
            return Err("a value is not as long as it should be".into());
        }
        Ok(())
    };
    pass(warm_up(&paths)).await?;
    passes(options.at_least()?, paths.len(), async || pass(&paths).await).await
}

/// Puts a value under every key, some at once.
pub async fn put(options: &Options) -> Outcome<Sample> {
    let (store, paths, width) = (open(options)?, paths(options)?, options.concurrency()?);
    let value = noise(options.size()?);
    let pass = async |paths: &[Path]| -> Outcome<()> {
        let puts = stream::iter(paths).map(async |path| store.put(path, value.clone().into()).await);
        puts.buffer_unordered(width).try_for_each(async |_| Ok(())).await?;
        Ok(())
    };
    pass(warm_up(&paths)).await?;
    passes(options.at_least()?, paths.len(), async || pass(&paths).await).await
}

fn open(options: &Options) -> Outcome<AmazonS3> {
    Ok(AmazonS3Builder::new()
        .with_endpoint(options.url()?)
        .with_bucket_name(options.bucket())
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("testing-secret")
        .with_allow_http(true)
        .build()?)
}

/// The names that the other contenders give.
fn paths(options: &Options) -> Outcome<Vec<Path>> {
    let prefix = options.prefix();
    Ok((0..options.keys()?).map(|at| Path::from(format!("{prefix}item{at:04}"))).collect())
}

fn warm_up(paths: &[Path]) -> &[Path] {
    &paths[..paths.len().min(WARM_UP)]
}

/// Bytes that do not compress (xorshift64*).
fn noise(size: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}
