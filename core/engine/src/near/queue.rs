//! A queue whose entries know their place, so that one can leave from the middle.

use std::collections::VecDeque;

use super::held::Held;

/// The highest bit of a place names the queue.
pub(super) const QUEUE: u32 = 1 << 31;

#[derive(Default)]
pub(super) struct Queue {
    slots: VecDeque<Option<Held>>,
    /// The place of the first slot.
    first: u32,
    holes: usize,
    name: u32,
    pub(super) weight: u64,
}

impl Queue {
    /// Makes an empty queue; its entries' places have `name` in their highest bit.
    pub(super) fn new(name: u32) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.holes
    }

    fn place(&self, at: usize) -> u32 {
        self.first.wrapping_add(at as u32) & !QUEUE | self.name
    }

    fn at(&self, held: &Held) -> usize {
        (held.place().wrapping_sub(self.first) & !QUEUE) as usize
    }

    pub(super) fn push(&mut self, held: Held, weight: u64) {
        if self.holes > 32 && self.holes > self.slots.len() / 2 {
            self.close_holes();
        }
        if self.slots.len() == self.slots.capacity() {
            // By little: twice as large would be a waste with a million entries.
            self.slots.reserve_exact(self.slots.len() / 16 + 4);
        }
        held.set_place(self.place(self.slots.len()));
        self.slots.push_back(Some(held));
        self.weight += weight;
    }

    fn close_holes(&mut self) {
        self.slots.retain(Option::is_some);
        self.holes = 0;
        for (at, held) in self.slots.iter().flatten().enumerate() {
            held.set_place(self.first.wrapping_add(at as u32) & !QUEUE | self.name);
        }
    }

    pub(super) fn pop(&mut self, weigh: impl Fn(&Held) -> u64) -> Option<Held> {
        while let Some(slot) = self.slots.pop_front() {
            self.first = self.first.wrapping_add(1);
            match slot {
                Some(held) => {
                    self.weight -= weigh(&held);
                    return Some(held);
                }
                None => self.holes -= 1,
            }
        }
        None
    }

    /// Takes out the entry that is in the queue as `held`.
    pub(super) fn take(&mut self, held: &Held, weight: u64) -> Held {
        let at = self.at(held);
        self.holes += 1;
        self.weight -= weight;
        self.slots[at].take().expect("an entry knows its place")
    }

    /// Puts `new` in the place of `old`, and returns that.
    pub(super) fn replace(&mut self, old: &Held, new: Held) -> Held {
        let at = self.at(old);
        new.set_place(old.place());
        self.slots[at].replace(new).expect("an entry knows its place")
    }

    /// Returns the entries from `from` on, `most` slots of them.
    pub(super) fn some(&self, from: usize, most: usize) -> impl Iterator<Item = &Held> {
        self.slots.range(from.min(self.slots.len())..(from.saturating_add(most)).min(self.slots.len())).flatten()
    }

    /// Returns how many slots there are, with holes.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}
