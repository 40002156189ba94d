//! The verbs that many calls run through, as functions of their own.
//!
//! A method takes its object apart first, and says that it borrows it: that costs more than the look it is for. These functions have what
//! they need with them, and take numbers and texts alone.

use napi::{
    Env,
    bindgen_prelude::{Function, FunctionCallContext, Object},
};
use napi_derive::napi;

use super::{Core, value};
use crate::{ask::numbered, reply::Reply};

impl Core {
    fn handle(&self) -> Self {
        Self { shared: self.shared.clone(), blocks: self.blocks, faults: Vec::new() }
    }

    fn failed(&self, error: undercroft::engine::Error) -> Reply {
        Reply::now(&self.shared.bridge, Err(error))
    }
}

#[napi]
impl Core {
    /// Returns `begin(key, ask, lineage?)`, `entry(key, ask, isFresh)` and `keep(key, slot, size, ask)`, where `ask` is the number of one:
    ///
    /// - `begin` starts a read that ends in a value; of a core that blocks, it is `busy` where another caller loads;
    /// - `entry` answers with the entry under a key if it may be served at all, or, where `isFresh` says so, if it is fresh;
    /// - `keep` is `put` where no tier wants bytes.
    #[napi]
    pub fn verbs<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let mut verbs = Object::new(env)?;
        let core = self.handle();
        let begin: Function<'_, (), Reply> = env.create_function_from_closure("begin", move |call: FunctionCallContext<'_>| {
            let lineage = if call.length() > 2 { call.get::<Option<Vec<f64>>>(2)? } else { None };
            let lineage = lineage.unwrap_or_default().into_iter().map(|flight| flight as u64).collect();
            Ok(match numbered(call.get(1)?, lineage) {
                Ok(ask) => core.begin_with(&call.get::<String>(0)?, ask),
                Err(error) => core.failed(error),
            })
        })?;
        verbs.set("begin", begin)?;
        let core = self.handle();
        let entry: Function<'_, (), Reply> = env.create_function_from_closure("entry", move |call: FunctionCallContext<'_>| {
            Ok(match numbered(call.get(1)?, Vec::new()) {
                Ok(ask) => core.entry_of(&call.get::<String>(0)?, ask, call.get(2)?),
                Err(error) => core.failed(error),
            })
        })?;
        verbs.set("entry", entry)?;
        let core = self.handle();
        let keep: Function<'_, (), Reply> = env.create_function_from_closure("keep", move |call: FunctionCallContext<'_>| {
            // All arguments first: who is refused has not given its object away.
            let (key, slot, size, ask): (String, u32, f64, u32) = (call.get(0)?, call.get(1)?, call.get(2)?, call.get(3)?);
            let value = value(&core.shared.bridge, slot, size, None);
            Ok(match numbered(ask, Vec::new()) {
                Ok(ask) => core.put_value(&key, value, ask.policy),
                Err(error) => core.failed(error),
            })
        })?;
        verbs.set("keep", keep)?;
        Ok(verbs)
    }
}
