//! `undercroft:cache/chain`.

use std::{cell::RefCell, sync::Arc};

use undercroft::engine::{self, NearTier, Tier};

use super::{Answer, Component, stores::StoreOf};
use crate::bindings::exports::undercroft::cache::{
    chain::{Guest, GuestChain, OnError, Tier as TierRecord},
    stores::StoreBorrow,
};

impl Guest for Component {
    type Chain = ChainOf;
}

/// A chain that grows.
#[derive(Default)]
pub(crate) struct ChainOf(RefCell<Tiers>);

#[derive(Clone, Default)]
struct Tiers {
    near: Option<NearTier>,
    far: Vec<Tier>,
}

impl ChainOf {
    /// Returns the chain as it is now.
    pub(crate) fn chain(&self) -> engine::Result<engine::Chain> {
        let Tiers { near, far } = self.0.borrow().clone();
        engine::Chain::new(near, far)
    }
}

impl GuestChain for ChainOf {
    fn new() -> Self {
        Self::default()
    }

    fn push(&self, tier: TierRecord, store: StoreBorrow<'_>) -> Answer<()> {
        let store = store.get::<StoreOf>();
        let name: Arc<str> = tier.name.into();
        let mut longer = self.0.borrow().clone();
        match &store.near {
            Some(near) if longer.near.is_none() && longer.far.is_empty() => {
                longer.near = Some(NearTier { name, near: near.clone(), max_ttl: tier.max_ttl });
            }
            _ => {
                let on_error = match tier.on_error {
                    OnError::Miss => engine::OnError::Miss,
                    OnError::Raise => engine::OnError::Raise,
                };
                longer.far.push(Tier { name, max_ttl: tier.max_ttl, on_error, ..store.tier.clone() });
            }
        }
        // A chain says itself what is wrong with it.
        engine::Chain::new(longer.near.clone(), longer.far.clone())?;
        self.0.replace(longer);
        Ok(())
    }
}
