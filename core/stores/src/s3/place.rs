//! Places: where the requests of a bucket go, as AWS's own rules for endpoints say.

use aws_sdk_s3::{
    Client,
    config::{
        Builder,
        endpoint::{DefaultResolver, Params, ResolveEndpoint},
    },
};
use undercroft_engine::{Code, Error, Result};

use super::S3Options;
use crate::object::encode_path;

/// Where requests go, and for which region they are signed.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) region: String,
    /// What comes before the name of an object, with the slash.
    base: String,
    /// Whether the connection is encrypted: then the payload need not be signed.
    pub(super) is_private: bool,
    pub(super) sdk: Client,
}

impl Place {
    /// Resolves the place of `options.bucket` in `region`.
    ///
    /// # Errors
    /// `config_invalid`, naming the bucket or the endpoint.
    pub(super) async fn resolve(options: &S3Options, endpoint_url: Option<String>, region: &str, config: Builder) -> Result<Self> {
        let path_style = options.path_style.unwrap_or(endpoint_url.is_some());
        let params = Params::builder()
            .bucket(&options.bucket)
            .region(region)
            .set_endpoint(endpoint_url.clone())
            .force_path_style(path_style)
            .use_fips(options.use_fips)
            .use_dual_stack(options.use_dual_stack)
            .build();
        let invalid = |why: String| Error::new(Code::ConfigInvalid, format!("no endpoint for the bucket `{}`: {why}", options.bucket));
        let params = params.map_err(|error| invalid(error.to_string()))?;
        let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.map_err(|error| invalid(error.to_string()))?;
        let base = format!("{}/", endpoint.url().trim_end_matches('/'));
        let is_private = base.starts_with("https://");
        let mut config = config.region(aws_sdk_s3::config::Region::new(region.to_owned())).force_path_style(path_style);
        if let Some(url) = endpoint_url {
            config = config.endpoint_url(url);
        }
        config = config.use_fips(options.use_fips).use_dual_stack(options.use_dual_stack);
        Ok(Self { region: region.to_owned(), base, is_private, sdk: Client::from_conf(config.build()) })
    }

    /// Returns the URI of an object.
    pub(super) fn uri(&self, name: &str) -> String {
        format!("{}{}", self.base, encode_path(name))
    }
}
