//! Who we are to AWS, as AWS's own tools find it out: environment, profiles, SSO, web identity, containers, instances.

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_smithy_async::rt::sleep::TokioSleep;
use tokio::sync::OnceCell;
use undercroft::{
    engine::{Code, Error, Result},
    stores::{
        WireOptions,
        object::Wire,
        s3::{self, Account, Credentials},
    },
};

use crate::runtime::on_runtime;

/// AWS's default chain of providers, for one profile.
#[derive(Debug)]
pub(crate) struct DefaultChain {
    profile: Option<String>,
    config: OnceCell<SdkConfig>,
}

impl DefaultChain {
    pub(crate) fn new(profile: Option<String>) -> Self {
        Self { profile, config: OnceCell::new() }
    }

    async fn config(&self) -> Result<&SdkConfig> {
        self.config.get_or_try_init(|| on_runtime(load(self.profile.clone()))).await
    }
}

async fn load(profile: Option<String>) -> SdkConfig {
    let wire = Arc::new(Wire::new(WireOptions::default(), crate::env()));
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(s3::http_client(wire)).sleep_impl(TokioSleep::new());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

#[async_trait]
impl Account for DefaultChain {
    async fn region(&self) -> Result<Option<String>> {
        Ok(self.config().await?.region().map(|region| region.as_ref().to_owned()))
    }

    async fn endpoint_url(&self) -> Result<Option<String>> {
        Ok(self.config().await?.endpoint_url().map(str::to_owned))
    }

    async fn credentials(&self, _forced: bool) -> Result<Option<Credentials>> {
        let denied = |why: String| Error::new(Code::Denied, format!("no AWS credentials: {why}"));
        let provider = self.config().await?.credentials_provider().ok_or_else(|| denied("no provider is configured".to_owned()))?;
        let found = on_runtime(async move { provider.provide_credentials().await }).await?;
        found.map(Some).map_err(|error| match error {
            CredentialsError::CredentialsNotLoaded(_) => denied(
                "there are none in the environment, the profiles or on this machine; give `access_key_id` and `secret_access_key`, or `anonymous=True`"
                    .to_owned(),
            ),
            other => {
                let cause = std::error::Error::source(&other).map(|cause| format!(": {cause}")).unwrap_or_default();
                denied(format!("{other}{cause}"))
            }
        })
    }
}
