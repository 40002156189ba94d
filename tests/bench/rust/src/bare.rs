//! A bare HTTP client: one connection, nothing signed, nothing parsed but HTTP.

use crate::Outcome;
use crate::options::Options;
use crate::watch::{Sample, WARM_UP, passes};

/// Gets the same object again and again, one after the other.
pub async fn get(options: &Options) -> Outcome<Sample> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let (url, size, times) = (reqwest::Url::parse(options.url()?)?, options.size()?, options.keys()?);
    let pass = async |times: usize| {
        for _ in 0..times {
            let answer = client.get(url.clone()).send().await?.error_for_status()?;
            if answer.bytes().await?.len() != size {
                return Err("the value is not as long as it should be".into());
            }
        }
        Ok(())
    };
    pass(WARM_UP).await?;
    passes(options.at_least()?, times, async || pass(times).await).await
}
