//! The arguments of the command line.

use std::path::PathBuf;

/// What to serve, where, and to whom.
pub struct Args {
    /// The folder that holds the buckets. It is made when missing.
    pub root: PathBuf,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The access key of the only user.
    pub access_key: String,
    /// The secret key of the only user.
    pub secret_key: String,
    /// Buckets that exist from the start.
    pub buckets: Vec<String>,
}

impl Args {
    /// Reads pairs of `--name value`.
    ///
    /// # Errors
    /// A name that is not known, a name without a value, a port that is no port, no `--root`.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut root = None;
        let mut args = Self { root: PathBuf::new(), port: 0, access_key: "test".into(), secret_key: "testing-secret".into(), buckets: Vec::new() };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--root" => root = Some(PathBuf::from(value)),
                "--port" => args.port = value.parse().map_err(|_| format!("`{value}` is no port"))?,
                "--access-key" => args.access_key = value,
                "--secret-key" => args.secret_key = value,
                "--bucket" => args.buckets.push(value),
                _ => return Err(format!("unknown argument `{name}`")),
            }
        }
        args.root = root.ok_or("`--root` is missing")?;
        Ok(args)
    }
}
