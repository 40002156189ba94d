//! Who we are to AWS and Google, as far as the environment's variables say.

#[cfg(any(feature = "s3", feature = "gcs"))]
use std::sync::Arc;

#[cfg(feature = "s3")]
use undercroft::stores::s3::{self, Account, Credentials};
use undercroft::{
    Identities,
    engine::{Code, Error},
};
#[cfg(feature = "gcs")]
use undercroft::{
    engine::Result,
    stores::gcs::{self, Tokens},
};

/// Takes credentials from variables. A component has no files, and no machine that would vouch for it.
#[derive(Debug)]
pub(super) struct FromVariables;

fn variable(name: &str) -> Option<String> {
    super::variable(name).filter(|value| !value.is_empty())
}

impl Identities for FromVariables {
    #[cfg(feature = "s3")]
    fn aws(&self, profile: Option<&str>) -> Arc<dyn Account> {
        Arc::new(Variables { profile: profile.map(str::to_owned) })
    }

    #[cfg(feature = "gcs")]
    fn google(&self, file: Option<&str>) -> Result<Arc<dyn Tokens>> {
        if let Some(file) = file {
            return Err(Error::new(Code::Unsupported, format!("a component reads no files such as `{file}`; give `token`")));
        }
        match variable("CLOUDSDK_AUTH_ACCESS_TOKEN") {
            Some(token) => Ok(Arc::new(gcs::Fixed(Some(token)))),
            None => Err(Error::new(Code::Denied, "no Google credentials: give `token`, `anonymous`, or the variable `CLOUDSDK_AUTH_ACCESS_TOKEN`")),
        }
    }
}

/// AWS's variables, looked at for every question: a host may have given others since.
#[cfg(feature = "s3")]
#[derive(Debug)]
struct Variables {
    profile: Option<String>,
}

#[cfg(feature = "s3")]
#[async_trait::async_trait]
impl Account for Variables {
    async fn region(&self) -> undercroft::engine::Result<Option<String>> {
        Ok(None)
    }

    async fn credentials(&self, _forced: bool) -> undercroft::engine::Result<Option<s3::Credentials>> {
        if let Some(profile) = &self.profile {
            return Err(Error::new(Code::Unsupported, format!("a component reads no files with profiles such as `{profile}`")));
        }
        match (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Ok(Some(Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "environment"))),
            _ => Err(Error::new(
                Code::Denied,
                "no AWS credentials: give `access_key_id` and `secret_access_key`, `anonymous`, or the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
            )),
        }
    }
}
