//! Who we are to the services of far tiers, found as their own tools find it.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use tokio::sync::OnceCell;
use undercroft::{
    Identities,
    engine::{Code, Error, Result},
    stores::{
        gcs::{Token, Tokens},
        s3::Account,
    },
};

use crate::{aws::DefaultChain, runtime::on_runtime};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// Returns the identities of this machine and its environment.
pub fn identities() -> Arc<dyn Identities> {
    Arc::new(Machine)
}

#[derive(Debug)]
struct Machine;

impl Identities for Machine {
    fn aws(&self, profile: Option<&str>) -> Arc<dyn Account> {
        Arc::new(DefaultChain::new(profile.map(str::to_owned)))
    }

    fn google(&self, file: Option<&str>) -> Result<Arc<dyn Tokens>> {
        let provider = OnceCell::new();
        if let Some(file) = file {
            let account = CustomServiceAccount::from_file(Path::new(file));
            let account = account.map_err(|error| Error::new(Code::ConfigInvalid, format!("`credentials` names no service account: {}", chain(&error))))?;
            provider.set(Arc::new(account) as Arc<dyn TokenProvider>).unwrap_or_else(|_| unreachable!("it was just made"));
        }
        Ok(Arc::new(ApplicationDefault { provider }))
    }
}

/// Google's application default credentials, or a service account that was named.
struct ApplicationDefault {
    provider: OnceCell<Arc<dyn TokenProvider>>,
}

impl std::fmt::Debug for ApplicationDefault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApplicationDefault").finish_non_exhaustive()
    }
}

#[async_trait]
impl Tokens for ApplicationDefault {
    async fn token(&self, _forced: bool) -> Result<Option<Token>> {
        let denied = |error: gcp_auth::Error| Error::new(Code::Denied, format!("no Google credentials: {}", chain(&error)));
        let provider = self.provider.get_or_try_init(|| async { on_runtime(gcp_auth::provider()).await?.map_err(denied) }).await?.clone();
        let token = on_runtime(async move { provider.token(&[SCOPE]).await }).await?.map_err(denied)?;
        let expires_at = token.expires_at().timestamp_millis().try_into().ok();
        Ok(Some(Token { text: token.as_str().into(), expires_at }))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    message
}
