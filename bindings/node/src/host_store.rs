//! A store that the user wrote in JavaScript, as a far tier: each verb is a question to the JavaScript thread.
//!
//! With `getEntry` and `setEntry` the deadlines lie in the store. Without them the store keeps plain values for a ttl; the deadlines
//! of what this process wrote are remembered beside it, and what others wrote is fresh as long as the store has it, and is not
//! copied to other tiers, because nobody knows how long it may live.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use undercroft::engine::{
    Body, Capability, Code, Codec, Env, Error, Key, Life, Live, Meta, Object, Page, Put, PutMode, Result, Store, StoreInfo, Want, time::FOREVER,
};

use crate::{
    bridge::{Answer, Question, Shared, ended, life},
    live::{live, slot},
};

/// How many deadlines are remembered for a store that cannot keep them.
const REMEMBERED: usize = 100_000;

pub(crate) struct HostStore {
    shared: Arc<Shared>,
    /// The store itself, an object on JavaScript's list.
    store: Live,
    slot: u32,
    label: String,
    keeps_entries: bool,
    lives: Mutex<HashMap<Key, Life>>,
    env: Env,
}

impl std::fmt::Debug for HostStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostStore").field("label", &self.label).finish_non_exhaustive()
    }
}

impl HostStore {
    pub(crate) fn new(shared: &Arc<Shared>, slot: u32, label: String, keeps_entries: bool) -> Self {
        let store = live(shared, slot);
        Self { shared: shared.clone(), store, slot, label, keeps_entries, lives: Mutex::default(), env: undercroft_native::env() }
    }

    fn question(&self, verb: &'static str, key: &str) -> Question {
        Question { store: self.slot, verb, key: key.to_owned(), slot: None, ttl: 0.0, life: [0.0; 3], _value: Some(self.store.clone()) }
    }

    async fn ask(&self, question: Question) -> Result<Answer> {
        let verb = question.verb;
        let answer = self.shared.ask(question).await.map_err(|_| ended())?;
        match answer.failed {
            Some(message) => Err(Error::new(Code::Unavailable, format!("`{}.{verb}` failed: {message}", self.label))),
            None => Ok(answer),
        }
    }

    fn remember(&self, key: &Key, life: Life) {
        let mut lives = self.lives.lock();
        if lives.len() >= REMEMBERED {
            // Forgetting makes an entry one of unknown life: served, but not copied.
            lives.clear();
        }
        lives.insert(key.clone(), life);
    }
}

fn until(at: u64) -> f64 {
    if at == FOREVER { f64::INFINITY } else { at as f64 }
}

#[async_trait]
impl Store for HostStore {
    fn info(&self) -> StoreInfo {
        StoreInfo { scheme: "host", label: self.label.clone(), can: Capability { list: false, put_if_absent: true, live: true, bytes: false, paced: false } }
    }

    async fn head(&self, key: &Key) -> Result<Option<Meta>> {
        let answer = self.ask(self.question("exists", key)).await?;
        let life = self.lives.lock().get(key).copied().unwrap_or(Life::UNKNOWN);
        Ok(answer.flag.then_some(Meta::new(life, Codec::RAW, 0)))
    }

    async fn get(&self, key: &Key, _want: Want) -> Result<Option<Object>> {
        let answer = self.ask(self.question(if self.keeps_entries { "getEntry" } else { "get" }, key)).await?;
        let Some(value) = answer.value.filter(|_| answer.flag) else {
            self.lives.lock().remove(key);
            return Ok(None);
        };
        let life = answer.life.map(life).or_else(|| self.lives.lock().get(key).copied()).unwrap_or(Life::UNKNOWN);
        Ok(Some(Object { meta: Meta::new(life, Codec::RAW, 0), body: Body::Live(value) }))
    }

    async fn put(&self, key: &Key, object: Object, mode: PutMode) -> Result<Put> {
        let Body::Live(value) = &object.body else {
            return Err(Error::new(Code::Unsupported, "only JavaScript's own values can be put into a store written in JavaScript"));
        };
        let life = object.meta.life;
        // Whole seconds where they are whole: stores may pass them on to systems that take no fractions.
        let ttl = match life.stale_until {
            FOREVER => 0.0,
            until => (until.saturating_sub(self.env.clock.wall()) as f64 / 1000.0).max(0.001),
        };
        let verb = match mode {
            PutMode::IfAbsent(_) => "setIfNotExists",
            _ if self.keeps_entries => "setEntry",
            _ => "set",
        };
        let question = Question {
            slot: slot(value),
            ttl,
            life: [life.created_at, life.fresh_until, life.stale_until].map(until),
            _value: Some(value.clone()),
            ..self.question(verb, key)
        };
        let answer = self.ask(question).await?;
        if matches!(mode, PutMode::IfAbsent(_)) && !answer.flag {
            return Ok(Put::Present);
        }
        if !self.keeps_entries || matches!(mode, PutMode::IfAbsent(_)) {
            self.remember(key, life);
        }
        Ok(Put::Stored)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.lives.lock().remove(key);
        self.ask(self.question("delete", key)).await.map(|_| ())
    }

    async fn list(&self, _prefix: &str, _after: Option<&str>) -> Result<Page> {
        Err(Error::new(Code::Unsupported, format!("`{}` cannot list its keys", self.label)))
    }

    async fn clear(&self, prefix: &str) -> Result<u64> {
        let unsupported = || Error::new(Code::Unsupported, format!("`{}` can clear neither a prefix nor, without a method `clear`, everything", self.label));
        if !prefix.is_empty() {
            return Err(unsupported());
        }
        let answer = self.ask(self.question("clear", "")).await?;
        if !answer.flag {
            return Err(unsupported());
        }
        self.lives.lock().clear();
        Ok(answer.number.max(0.0) as u64)
    }
}
