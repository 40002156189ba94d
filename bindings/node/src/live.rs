//! JavaScript's objects, which the core knows by number.
//!
//! JavaScript keeps them in a list, so that its garbage collector sees them. Here is the other half: who drops the last handle of
//! one has its number released, and JavaScript takes it off the list. A byte for each says whether JavaScript has served it by
//! itself since memory last asked: that is a use.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use undercroft::engine::{Entry, Live, value::Object};

use crate::bridge::Shared;

/// How many objects share one piece of memory for their marks.
pub(crate) const CHUNK: usize = 1 << 16;

/// A mark for each of so many objects.
pub(crate) type Marks = Arc<[AtomicU8]>;

/// One object of JavaScript's.
pub(crate) struct JsObject {
    slot: u32,
    marks: Marks,
    shared: Arc<Shared>,
}

impl Object for JsObject {
    fn take_use(&self) -> bool {
        let mark = &self.marks[self.slot as usize % CHUNK];
        mark.load(Ordering::Relaxed) != 0 && mark.swap(0, Ordering::Relaxed) != 0
    }
}

impl Drop for JsObject {
    fn drop(&mut self) {
        self.shared.release(self.slot);
    }
}

/// Takes over an object that JavaScript has put on its list.
pub(crate) fn live(shared: &Arc<Shared>, slot: u32) -> Live {
    let marks = shared.marks(slot as usize / CHUNK);
    marks[slot as usize % CHUNK].store(0, Ordering::Relaxed);
    Arc::new(JsObject { slot, marks, shared: shared.clone() })
}

/// Returns the number of an object.
pub(crate) fn slot(live: &Live) -> Option<u32> {
    let any: &dyn std::any::Any = &**live;
    any.downcast_ref::<JsObject>().map(|object| object.slot)
}

/// Returns the number of the object that an entry holds.
pub(crate) fn slot_in(entry: &Entry) -> Option<u32> {
    slot(entry.value.object()?)
}
