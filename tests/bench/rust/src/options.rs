//! The command line.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::Outcome;

/// What is asked for: pairs of `--name value`.
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Reads `--name value --name value …`.
    pub fn read(mut words: impl Iterator<Item = String>) -> Outcome<Self> {
        let mut pairs = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("an option, not {word:?}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    /// The server, or the whole address of the one object that the bare client gets.
    pub fn url(&self) -> Outcome<&str> {
        self.0.get("url").map(String::as_str).ok_or_else(|| "--url is needed".into())
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        self.0.get("bucket").map_or("bench", String::as_str)
    }

    /// What the name of every object begins with.
    pub fn prefix(&self) -> &str {
        self.0.get("prefix").map_or("", String::as_str)
    }

    /// How many keys one pass goes through.
    pub fn keys(&self) -> Outcome<usize> {
        self.number("keys", 1_000)
    }

    /// Bytes of one value.
    pub fn size(&self) -> Outcome<usize> {
        self.number("size", 4_096)
    }

    /// How many requests may be under way at once.
    pub fn concurrency(&self) -> Outcome<usize> {
        self.number("concurrency", 32)
    }

    /// Passes are made until they have taken this long together.
    pub fn at_least(&self) -> Outcome<Duration> {
        Ok(Duration::from_secs_f64(self.number("seconds", 0.3)?))
    }

    fn number<N: FromStr>(&self, name: &str, otherwise: N) -> Outcome<N> {
        let Some(text) = self.0.get(name) else { return Ok(otherwise) };
        text.parse().map_err(|_| format!("--{name} is a number, not {text:?}").into())
    }
}
