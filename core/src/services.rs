//! The services of object storage: who we are there, and how a tier on them is opened.

use std::{fmt, sync::Arc};

use undercroft_engine::{Env, Error, Result, Store};
use undercroft_stores::Objects;
#[cfg(feature = "gcs")]
use undercroft_stores::gcs::{self, Gcs, GcsOptions, Tokens};
#[cfg(feature = "s3")]
use undercroft_stores::s3::{Account, Credentials, Fixed, S3, S3Options};

use crate::{config::TierConfig, open::Options, settings::invalid};

/// Who we are to the services of far tiers, where a configuration does not say.
pub trait Identities: fmt::Debug + Send + Sync {
    /// Returns the account that AWS's own tools would find, for one profile or the default one.
    #[cfg(feature = "s3")]
    fn aws(&self, profile: Option<&str>) -> Arc<dyn Account>;

    /// Returns the tokens that Google's own tools would find, or those of a service account's file.
    ///
    /// # Errors
    /// `config_invalid` when the file is none.
    #[cfg(feature = "gcs")]
    fn google(&self, file: Option<&str>) -> Result<Arc<dyn Tokens>>;
}

fn no_credentials(tier: &TierConfig) -> Error {
    invalid(format!("tier `{}` needs credentials: this environment has none of its own", tier.name))
}

#[cfg(feature = "s3")]
pub(crate) fn open_s3(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
    let given = tier.object.clone();
    let wire = given.wire(tier.guard.timeout);
    let account: Arc<dyn Account> = match (given.access_key_id, given.secret_access_key) {
        _ if given.anonymous => Arc::new(Fixed { region: None, credentials: None }),
        (Some(id), Some(secret)) => {
            let credentials = Credentials::new(id, secret, given.session_token, None, "undercroft");
            Arc::new(Fixed { region: None, credentials: Some(credentials) })
        }
        _ => options.identities.as_ref().ok_or_else(|| no_credentials(tier))?.aws(given.profile.as_deref()),
    };
    let s3 = S3Options {
        bucket: bucket(tier)?.to_owned(),
        // As AWS's own tools do, also where the credentials were given.
        region: given.region.or_else(|| options.variable("AWS_REGION")).or_else(|| options.variable("AWS_DEFAULT_REGION")),
        endpoint_url: given.endpoint_url.or_else(|| options.variable("AWS_ENDPOINT_URL_S3")).or_else(|| options.variable("AWS_ENDPOINT_URL")),
        path_style: given.path_style,
        use_fips: given.use_fips,
        use_dual_stack: given.use_dual_stack,
        storage_class: given.storage_class,
        sse: given.sse,
        sse_kms_key_id: given.kms_key,
        request_payer: given.request_payer,
        tags: given.tags,
    };
    Ok(Arc::new(Objects::new(S3::new(s3, wire, account, env.clone())?, tier.object.revalidate(), env.clone())))
}

#[cfg(feature = "gcs")]
pub(crate) fn open_gcs(tier: &TierConfig, env: &Env, options: &Options) -> Result<Arc<dyn Store>> {
    let given = tier.object.clone();
    let wire = given.wire(tier.guard.timeout);
    let emulator = options.variable("STORAGE_EMULATOR_HOST").filter(|_| given.endpoint_url.is_none());
    let is_emulated = emulator.is_some() && given.token.is_none() && given.credentials.is_none();
    let tokens: Arc<dyn Tokens> = match given.token {
        _ if given.anonymous || is_emulated => Arc::new(gcs::Fixed(None)),
        Some(token) => Arc::new(gcs::Fixed(Some(token))),
        None => options.identities.as_ref().ok_or_else(|| no_credentials(tier))?.google(given.credentials.as_deref())?,
    };
    let gcs = GcsOptions {
        bucket: bucket(tier)?.to_owned(),
        endpoint_url: given.endpoint_url.or(emulator),
        storage_class: given.storage_class,
        kms_key: given.kms_key,
        user_project: given.user_project,
    };
    Ok(Arc::new(Objects::new(Gcs::new(gcs, wire, tokens, env.clone())?, tier.object.revalidate(), env.clone())))
}

/// Returns the bucket of a URL.
fn bucket(tier: &TierConfig) -> Result<&str> {
    let bucket = tier.target.split('/').next().unwrap_or_default();
    if bucket.is_empty() {
        return Err(invalid(format!("tier `{}` names no bucket: use `{}://bucket/folder`", tier.name, tier.scheme)));
    }
    Ok(bucket)
}
