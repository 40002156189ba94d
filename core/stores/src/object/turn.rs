//! Turns: one at a time asks for credentials, and the others wait for what comes of it.

use std::sync::Arc;

use async_lock::{Mutex as AsyncMutex, MutexGuardArc};
use parking_lot::Mutex;

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<Arc<AsyncMutex<()>>>);

impl Turn {
    /// Waits for one's turn, which lasts until what is returned is dropped.
    pub(crate) async fn take(&self) -> MutexGuardArc<()> {
        let turn = self.0.lock().clone();
        turn.lock_arc().await
    }

    /// Forgets a turn that a thread had which does not exist in this process.
    pub(crate) fn after_fork(&self) {
        *self.0.lock() = Arc::default();
    }
}
