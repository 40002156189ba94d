//! Stamps: how a file tells that it has changed.

use rustix::fs::Stat;
use undercroft_engine::time::Millis;

/// Names one state of a file: a change of content or metadata changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { inode: stat.st_ino, size: stat.st_size as u64, modified: (stat.st_mtime, stat.st_mtime_nsec), changed: (stat.st_ctime, stat.st_ctime_nsec) }
    }

    /// Returns the length of the body in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Says whether a later change is bound to give another stamp.
    ///
    /// File times advance in steps of a scheduler tick: two changes within one look alike (git calls such files "racily
    /// clean"). A stamp that is older than a few ticks when it is read cannot be repeated.
    pub fn is_settled(&self, now: Millis) -> bool {
        let changed = (self.changed.0.max(0) as u64) * 1000 + self.changed.1 / 1_000_000;
        changed + 40 < now
    }
}
