//! Tokens: who we are to Google.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use undercroft_engine::{Result, time::Millis};

use crate::object::{Refusal, Turn};

/// An access token (RFC 6749, section 1.4).
#[derive(Clone)]
pub struct Token {
    /// Its text.
    pub text: Arc<str>,
    /// When it expires, in milliseconds since the epoch, where that is known.
    pub expires_at: Option<Millis>,
}

impl fmt::Debug for Token {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Where tokens come from: a service account, the metadata server, a client of the host.
#[async_trait]
pub trait Tokens: fmt::Debug + Send + Sync + 'static {
    /// Returns a token that is valid now; `None` to send requests without one.
    ///
    /// `forced`: the service has refused the one that was returned last.
    async fn token(&self, forced: bool) -> Result<Option<Token>>;
}

/// Always the same token, or none.
pub struct Fixed(pub Option<String>);

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fixed").finish_non_exhaustive()
    }
}

#[async_trait]
impl Tokens for Fixed {
    async fn token(&self, _forced: bool) -> Result<Option<Token>> {
        Ok(self.0.as_deref().map(|text| Token { text: text.into(), expires_at: None }))
    }
}

/// Tokens are renewed this long before they expire.
const EARLY: Millis = 5 * 60 * 1000;

/// The token of one store: asked for once, and again before it expires.
#[derive(Debug)]
pub(super) struct Purse {
    tokens: Arc<dyn Tokens>,
    held: Mutex<Option<Option<Token>>>,
    refusal: Refusal,
    turn: Turn,
}

impl Purse {
    pub(super) fn new(tokens: Arc<dyn Tokens>) -> Self {
        Self { tokens, held: Mutex::default(), refusal: Refusal::default(), turn: Turn::default() }
    }

    /// Returns a token that holds at `now`; another one than before where the service did not take that (`refused`).
    pub(super) async fn token(&self, now: Millis, refused: bool) -> Result<Option<Arc<str>>> {
        if let Some(held) = self.held(now).filter(|_| !refused) {
            return Ok(held);
        }
        let _turn = self.turn.take().await;
        if let Some(held) = self.held(now).filter(|_| !refused) {
            return Ok(held);
        }
        self.refusal.check(now)?;
        let token = self.refusal.note(now, self.tokens.token(refused).await)?;
        *self.held.lock() = Some(token.clone());
        Ok(token.map(|token| token.text))
    }

    /// Forgets a look that a thread was at which does not exist in this process.
    pub(super) fn after_fork(&self) {
        self.turn.after_fork();
    }

    fn held(&self, now: Millis) -> Option<Option<Arc<str>>> {
        let held = self.held.lock().clone()?;
        let is_valid = held.as_ref().and_then(|token| token.expires_at).is_none_or(|end| now.saturating_add(EARLY) < end);
        is_valid.then_some(held.map(|token| token.text))
    }
}
