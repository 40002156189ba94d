//! Calls with one plain argument find their entry by the argument.
//!
//! A memo is a small table from integers, and from hashes of texts, to where their entries were seen. It owns nothing and
//! promises nothing: where an entry has left the near tier since, or may have, the key is written again. So it needs no
//! word when entries go, and keeps neither arguments nor values alive. An integer is compared as it is, a text with the
//! text in the entry's key: two arguments whose hashes are equal are not mistaken for each other.

use std::cell::UnsafeCell;

use pyo3::{ffi, prelude::*};
use undercroft::engine::near::{Glance, Near, Recall};

use super::quick::utf8;

/// The memo of one function.
#[derive(Default)]
pub(super) struct Memo(UnsafeCell<Table>);

// SAFETY: the table is touched only with the interpreter's lock held, and nothing that is done to it runs Python.
unsafe impl Sync for Memo {}

#[derive(Default)]
struct Table {
    slots: Vec<Option<Slot>>,
    /// How many good slots had to give way since the table has this size.
    crowded: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    argument: Argument,
    recall: Recall,
}

/// What stands for an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Number(i64),
    /// The hash of a text.
    Text(ffi::Py_hash_t),
}

const FEWEST: usize = 64;
const MOST: usize = 8192;

impl Argument {
    /// Reads an exact `int` of up to 64 bits or an exact `str`.
    #[inline]
    pub(super) fn of(_py: Python<'_>, value: *mut ffi::PyObject) -> Option<Self> {
        // SAFETY: the value is an argument of the call under way; neither function runs code of the user's for these types.
        unsafe {
            if ffi::PyLong_CheckExact(value) != 0 {
                let mut overflow = 0;
                let number = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
                return (overflow == 0).then_some(Argument::Number(number));
            }
            // A text keeps its hash.
            (ffi::PyUnicode_CheckExact(value) != 0).then(|| Argument::Text(ffi::PyObject_Hash(value)))
        }
    }

    #[inline]
    fn word(self) -> u64 {
        match self {
            Argument::Number(number) => number as u64,
            Argument::Text(hash) => hash as u64,
        }
    }
}

impl Memo {
    /// Finds the entry of an argument, whose text in the key has `before` bytes before it and `behind` behind it.
    ///
    /// # Safety
    /// As [`Near::glance`]; `near` is always the same, and the interpreter's lock is held.
    #[inline]
    pub(super) unsafe fn find<'a>(&self, near: &'a Near, argument: Argument, value: *mut ffi::PyObject, before: usize, behind: usize) -> Option<Glance<'a>> {
        // SAFETY: the lock makes this thread the only one here.
        let table = unsafe { &*self.0.get() };
        let slot = table.pair(argument)?.iter().flatten().find(|slot| slot.argument == argument)?;
        // SAFETY: the caller's promise.
        let glance = unsafe { near.recall(&slot.recall) }?;
        if let Argument::Text(_) = argument {
            // SAFETY: it is an exact `str`, and an argument of the call under way.
            let text = unsafe { utf8(value) }?;
            let key = glance.key().as_bytes();
            if key.len() != before + text.len() + behind || &key[before..before + text.len()] != text {
                return None;
            }
        }
        Some(glance)
    }

    /// Remembers where the entry of an argument was seen.
    ///
    /// # Safety
    /// As [`Memo::find`].
    pub(super) unsafe fn keep(&self, near: &Near, argument: Argument, recall: Recall) {
        // SAFETY: the lock makes this thread the only one here, and nothing below runs Python.
        let table = unsafe { &mut *self.0.get() };
        if table.slots.is_empty() || (table.crowded > table.slots.len() && table.slots.len() < MOST) {
            *table = Table { slots: vec![None; (table.slots.len() * 4).max(FEWEST)], crowded: 0 };
        }
        let at = table.at(argument);
        // SAFETY: the caller's promise.
        let is_free = |slot: &Option<Slot>| slot.is_none_or(|slot| slot.argument == argument || unsafe { near.recall(&slot.recall) }.is_none());
        let free = table.slots[at..at + 2].iter().position(is_free);
        table.crowded += usize::from(free.is_none());
        // One of two, and not always the same.
        let chosen = at + free.unwrap_or(table.crowded & 1);
        table.slots[chosen] = Some(Slot { argument, recall });
    }
}

impl Table {
    /// Returns where the two slots of an argument begin.
    #[inline]
    fn at(&self, argument: Argument) -> usize {
        let mixed = argument.word().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.slots.len() - 2)
    }

    #[inline]
    fn pair(&self, argument: Argument) -> Option<&[Option<Slot>; 2]> {
        if self.slots.is_empty() {
            return None;
        }
        self.slots[self.at(argument)..].first_chunk()
    }
}
