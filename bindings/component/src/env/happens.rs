//! Waiting for what happens at the host.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::reactor;
use crate::bindings::wasi::io::poll::Pollable;

/// Waits for a pollable of the host's.
pub(super) struct Happens {
    pollable: Option<Pollable>,
    id: Option<u64>,
}

impl Happens {
    pub(super) fn when(pollable: Pollable) -> Self {
        Self { pollable: Some(pollable), id: None }
    }
}

impl Future for Happens {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pollable) = self.pollable.take() {
            if pollable.ready() {
                return Poll::Ready(());
            }
            self.id = Some(reactor::watch(pollable, cx.waker()));
            return Poll::Pending;
        }
        if self.id.is_some_and(|id| reactor::is_watched(id, cx.waker())) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Happens {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            reactor::forget(id);
        }
    }
}
