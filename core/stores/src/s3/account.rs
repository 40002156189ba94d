//! Accounts: who we are to AWS.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use parking_lot::Mutex;
use undercroft_engine::{Result, time::Millis};

use super::sign::DayKey;
use crate::object::{Refusal, Turn};

/// Where the region and the credentials come from that nobody configured: a chain of providers, or a client of the host.
#[async_trait]
pub trait Account: fmt::Debug + Send + Sync + 'static {
    /// Returns the region, where it is known.
    async fn region(&self) -> Result<Option<String>>;

    /// Returns the address of a service that is not AWS, where the configuration of the machine names one.
    async fn endpoint_url(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Returns credentials that are valid now; `None` to send requests without a signature.
    ///
    /// `forced`: the service has refused those that were returned last.
    async fn credentials(&self, forced: bool) -> Result<Option<Credentials>>;
}

/// An account with fixed credentials, or with none.
pub struct Fixed {
    /// The region.
    pub region: Option<String>,
    /// The credentials; `None` for anonymous requests.
    pub credentials: Option<Credentials>,
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixed").field("region", &self.region).finish_non_exhaustive()
    }
}

#[async_trait]
impl Account for Fixed {
    async fn region(&self) -> Result<Option<String>> {
        Ok(self.region.clone())
    }

    async fn credentials(&self, _forced: bool) -> Result<Option<Credentials>> {
        Ok(self.credentials.clone())
    }
}

/// Credentials are renewed this long before they expire.
const EARLY: Millis = 5 * 60 * 1000;

/// Credentials in use.
pub(super) struct Key {
    pub(super) credentials: Credentials,
    pub(super) day_key: Mutex<Option<DayKey>>,
    expires_at: Option<Millis>,
}

impl Key {
    pub(super) fn new(credentials: Credentials) -> Self {
        let expires_at = credentials.expiry().map(|end| end.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as Millis);
        Self { credentials, day_key: Mutex::default(), expires_at }
    }
}

/// The credentials of one store: asked for once, and again before they expire.
pub(super) struct Keyring {
    account: Arc<dyn Account>,
    held: Mutex<Option<Option<Arc<Key>>>>,
    refusal: Refusal,
    turn: Turn,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Keyring {
    pub(super) fn new(account: Arc<dyn Account>) -> Self {
        Self { account, held: Mutex::default(), refusal: Refusal::default(), turn: Turn::default() }
    }

    /// Returns credentials that hold at `now`; `None` for anonymous requests.
    pub(super) async fn key(&self, now: Millis) -> Result<Option<Arc<Key>>> {
        if let Some(held) = self.held(now) {
            return Ok(held);
        }
        let _turn = self.turn.take().await;
        match self.held(now) {
            Some(held) => Ok(held),
            None => match (self.ask(now, false).await, self.still_valid(now)) {
                // Early enough to try again: what is held still holds.
                (Err(_), Some(held)) => Ok(Some(held)),
                (asked, _) => asked,
            },
        }
    }

    /// Returns other credentials than `refused`, which the service did not take.
    pub(super) async fn renewed(&self, refused: &Arc<Key>, now: Millis) -> Result<Option<Arc<Key>>> {
        let _turn = self.turn.take().await;
        match self.held(now) {
            Some(Some(held)) if !Arc::ptr_eq(&held, refused) => Ok(Some(held)),
            _ => self.ask(now, true).await,
        }
    }

    /// Forgets a look that a thread was at which does not exist in this process.
    pub(super) fn after_fork(&self) {
        self.turn.after_fork();
    }

    /// Returns what is held, if it holds at `now`.
    pub(super) fn held(&self, now: Millis) -> Option<Option<Arc<Key>>> {
        let held = self.held.lock().clone()?;
        let is_valid = held.as_ref().and_then(|key| key.expires_at).is_none_or(|end| now.saturating_add(EARLY) < end);
        is_valid.then_some(held)
    }

    fn still_valid(&self, now: Millis) -> Option<Arc<Key>> {
        self.held.lock().clone()?.filter(|key| key.expires_at.is_none_or(|end| now < end))
    }

    async fn ask(&self, now: Millis, forced: bool) -> Result<Option<Arc<Key>>> {
        self.refusal.check(now)?;
        let key = self.refusal.note(now, self.account.credentials(forced).await)?.map(|credentials| Arc::new(Key::new(credentials)));
        *self.held.lock() = Some(key.clone());
        Ok(key)
    }
}
