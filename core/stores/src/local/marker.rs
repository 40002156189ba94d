//! Markers: how a process that ended without closing is noticed.
//!
//! A process with changes on their way into the index holds a lock on a file in `live/`. While it is locked the process
//! lives; when it lies there unlocked, changes were lost.

use std::{
    fs::{File, OpenOptions},
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use super::file::{Files, process_name};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// The marker of this process, where it has left one.
#[derive(Debug, Default)]
pub(super) struct Marker(Mutex<Option<(PathBuf, File)>>);

impl Marker {
    /// Leaves a marker. Where none can be left, a crash costs rows of the index until it is next made again.
    pub(super) fn leave(&self, files: &Files) {
        let mut marker = self.0.lock();
        if marker.is_some() {
            return;
        }
        let path = files.root().join(format!("live/{}-{}", process_name(), NEXT.fetch_add(1, Ordering::Relaxed)));
        if let Ok(file) = OpenOptions::new().create(true).truncate(false).write(true).open(&path)
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            *marker = Some((path, file));
        }
    }

    /// Removes the marker: nothing is on its way any more.
    pub(super) fn remove(&self) {
        if let Some((path, _lock)) = self.0.lock().take() {
            // One that stays only costs the next process a look at the files.
            let _looked_at_later = std::fs::remove_file(path);
        }
    }
}

/// Looks for markers of dead processes, and removes them with the temporary files they left. Says whether there were any.
pub(super) fn find_dead(files: &Files) -> bool {
    let Ok(markers) = std::fs::read_dir(files.root().join("live")) else { return false };
    let mut found = false;
    for marker in markers.flatten() {
        let is_dead = File::open(marker.path()).is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_dead && std::fs::remove_file(marker.path()).is_ok() {
            found = true;
            let owner = marker.file_name().to_string_lossy().split('-').next().unwrap_or("").to_owned();
            // What stays is tried again when the next process dies.
            let _tried_again = files.remove_temporaries(&owner);
        }
    }
    found
}
