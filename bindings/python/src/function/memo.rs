//! Calls with one or two plain arguments find their entry by the arguments.
//!
//! A memo is a small table from integers, and from hashes of texts, to where their entries were seen. It owns nothing and
//! promises nothing: where an entry has left the near tier since, or may have, the key is written again. So it needs no
//! word when entries go, and keeps neither arguments nor values alive. An integer is compared as it is, a text with the
//! text in the entry's key: arguments whose hashes are equal are not mistaken for each other.

use std::{cell::UnsafeCell, ptr};

use pyo3::ffi;
use undercroft::engine::near::{Glance, Near, Recall};

use super::{
    key::MOST_BOUND,
    plain::{hash, number, utf8},
    quick::Few,
};

/// The arguments of a call that make its key, and what stands for them.
pub(super) struct Asked<'a> {
    few: &'a Few,
    plain: Plain,
    first: *mut ffi::PyObject,
    second: *mut ffi::PyObject,
}

/// What stands for the arguments of a call: a number for itself, a text for its hash, a constant for its address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Plain {
    first: u64,
    second: u64,
    /// What the two are, one beside the other.
    kinds: u32,
}

const ABSENT: u32 = 0;
const CONSTANT: u32 = 1;
const NUMBER: u32 = 2;
const TEXT: u32 = 3;
/// By how many bits the kind of the second argument stands higher.
const SECOND: u32 = 8;

/// Reads an exact `int` of up to 64 bits, an exact `str`, `None`, `True` or `False`.
#[inline(always)]
fn plain(value: *mut ffi::PyObject) -> Option<(u64, u32)> {
    if value.is_null() {
        // A place that no parameter has.
        return None;
    }
    // SAFETY: the value is an argument of the call under way; nothing here runs code of the user's for these types.
    unsafe {
        if ffi::PyLong_CheckExact(value) != 0 {
            return Some((number(value)? as u64, NUMBER));
        }
        if ffi::PyUnicode_CheckExact(value) != 0 {
            return Some((hash(value) as u64, TEXT));
        }
        let is_constant = value == ffi::Py_None() || value == ffi::Py_True() || value == ffi::Py_False();
        if is_constant { Some((value as u64, CONSTANT)) } else { None }
    }
}

impl<'a> Asked<'a> {
    /// Reads the arguments of a call, if those that make the key are plain. `bound` has one for each parameter.
    #[inline(always)]
    pub(super) fn of(few: &'a Few, method: usize, bound: &[*mut ffi::PyObject; MOST_BOUND]) -> Option<Self> {
        let first = *bound.get(few.first.parameter(method))?;
        let (first_word, kind) = plain(first)?;
        let Some(second) = few.second else {
            return Some(Self { few, plain: Plain { first: first_word, second: 0, kinds: kind }, first, second: ptr::null_mut() });
        };
        let second = *bound.get(second.parameter(method))?;
        let (second_word, second_kind) = plain(second)?;
        let plain = Plain { first: first_word, second: second_word, kinds: kind | (second_kind << SECOND) };
        Some(Self { few, plain, first, second })
    }

    /// Returns the texts among the arguments; nothing at all where one of them has no UTF-8.
    #[inline(always)]
    fn texts(&self) -> Option<[Option<&[u8]>; 2]> {
        // SAFETY: they are exact `str`s, and arguments of the call under way.
        let text = |value, kind| unsafe { if kind == TEXT { utf8(value).map(Some) } else { Some(None) } };
        Some([text(self.first, self.plain.kinds & 0xff)?, text(self.second, self.plain.kinds >> SECOND)?])
    }

    /// Says whether a key was made of these texts; `lengths` are those of the texts that it was made of.
    #[inline(always)]
    fn made(&self, key: &[u8], lengths: [u16; 2]) -> bool {
        if self.plain.kinds & 0xff != TEXT && self.plain.kinds >> SECOND != TEXT {
            return true;
        }
        let Some([first, second]) = self.texts() else { return false };
        // The first stands behind what begins every key, the second before what ends it.
        first.is_none_or(|text| text.len() == usize::from(lengths[0]) && &key[self.few.before..self.few.before + text.len()] == text)
            && second.is_none_or(|text| {
                let end = key.len() - self.few.behind;
                text.len() == usize::from(lengths[1]) && &key[end - text.len()..end] == text
            })
    }
}

/// The memo of one function.
#[derive(Default)]
pub(super) struct Memo(UnsafeCell<Table>);

// SAFETY: the table is touched only with the interpreter's lock held, and nothing that is done to it runs Python.
unsafe impl Sync for Memo {}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    /// How many good slots had to give way since the table has this size.
    crowded: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    plain: Plain,
    /// How long the texts among them are.
    lengths: [u16; 2],
    recall: Option<Recall>,
}

const EMPTY: Slot = Slot { plain: Plain { first: 0, second: 0, kinds: ABSENT }, lengths: [0; 2], recall: None };
const FEWEST: usize = 64;
const MOST: usize = 4096;

impl Memo {
    /// Finds the entry of these arguments.
    ///
    /// # Safety
    /// As [`Near::glance`]; `near` is always the same, and the interpreter's lock is held.
    #[inline(always)]
    pub(super) unsafe fn find<'a>(&self, near: &'a Near, asked: &Asked<'_>) -> Option<Glance<'a>> {
        // SAFETY: the lock makes this thread the only one here.
        let table = unsafe { &*self.0.get() };
        let [one, other] = table.slots.get(table.at(&asked.plain)..)?.first_chunk()?;
        let slot = if one.plain == asked.plain { one } else { other };
        if slot.plain != asked.plain {
            return None;
        }
        // SAFETY: the caller's promise.
        let glance = unsafe { near.recall(slot.recall.as_ref()?) }?;
        asked.made(glance.key().as_bytes(), slot.lengths).then_some(glance)
    }

    /// Remembers where the entry of these arguments was seen.
    ///
    /// # Safety
    /// As [`Memo::find`].
    pub(super) unsafe fn keep(&self, near: &Near, asked: &Asked<'_>, recall: Recall) {
        // SAFETY: the lock makes this thread the only one here, and nothing below runs Python.
        let table = unsafe { &mut *self.0.get() };
        if table.slots.is_empty() || (table.crowded > table.slots.len() && table.slots.len() < MOST) {
            *table = Table { slots: vec![EMPTY; (table.slots.len() * 4).max(FEWEST)], crowded: 0 };
        }
        let at = table.at(&asked.plain);
        // SAFETY: the caller's promise.
        let is_good = |slot: &Slot| slot.recall.is_some_and(|recall| unsafe { near.recall(&recall) }.is_some());
        let free = table.slots[at..at + 2].iter().position(|slot| slot.plain == asked.plain || !is_good(slot));
        table.crowded += usize::from(free.is_none());
        // One of two, and not always the same.
        let chosen = at + free.unwrap_or(table.crowded & 1);
        let Some(texts) = asked.texts() else { return };
        let lengths = texts.map(|text| text.map_or(0, |text| text.len() as u16));
        table.slots[chosen] = Slot { plain: asked.plain, lengths, recall: Some(recall) };
    }
}

impl Table {
    /// Returns where the two slots of some arguments begin.
    #[inline(always)]
    fn at(&self, plain: &Plain) -> usize {
        let mixed = (plain.first ^ plain.second.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & self.slots.len().saturating_sub(2)
    }
}
