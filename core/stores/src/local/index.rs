//! The index: what lies in the folder, in SQLite, for listing, eviction and sweeping.
//!
//! The files are the truth and the index follows them; a read never asks it. A broken index is thrown away and made
//! again from the files.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, params};
use undercroft_engine::{Code, Error, Life, Result, key::after_prefix, time::Millis};

/// A change that the index has to follow.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object of `size` bytes was written at `at`.
    Put {
        /// Its key.
        key: String,
        /// The length of its body in bytes.
        size: u64,
        /// Its deadlines.
        life: Life,
        /// When.
        at: Millis,
    },
    /// An object was read.
    Touch {
        /// Its key.
        key: String,
        /// When.
        at: Millis,
    },
    /// An object was removed.
    Delete {
        /// Its key.
        key: String,
    },
}

/// A row of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A key.
    Key(String),
    /// What several keys have in common up to the delimiter.
    Prefix(String),
}

/// The SQLite index of one folder.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
    path: PathBuf,
    inode: u64,
}

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS objects (
        key TEXT PRIMARY KEY COLLATE BINARY,
        size INTEGER NOT NULL,
        stale_until INTEGER NOT NULL,
        used_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS objects_by_use ON objects (used_at);
    CREATE INDEX IF NOT EXISTS objects_by_end ON objects (stale_until);
    CREATE TABLE IF NOT EXISTS totals (id INTEGER PRIMARY KEY CHECK (id = 0), count INTEGER NOT NULL, bytes INTEGER NOT NULL);
    INSERT OR IGNORE INTO totals SELECT 0, count(*), coalesce(sum(size), 0) FROM objects;
    CREATE TRIGGER IF NOT EXISTS objects_insert AFTER INSERT ON objects BEGIN
        UPDATE totals SET count = count + 1, bytes = bytes + new.size; END;
    CREATE TRIGGER IF NOT EXISTS objects_delete AFTER DELETE ON objects BEGIN
        UPDATE totals SET count = count - 1, bytes = bytes - old.size; END;
    CREATE TRIGGER IF NOT EXISTS objects_update AFTER UPDATE OF size ON objects BEGIN
        UPDATE totals SET bytes = bytes - old.size + new.size; END;
";

impl Index {
    /// Opens the index at `path`, making it where it is missing.
    ///
    /// # Errors
    /// `corrupt` when the file is no database; `unavailable` or `denied`.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path).map_err(failure)?;
        connection.busy_timeout(Duration::from_secs(10)).map_err(failure)?;
        connection.execute_batch(SCHEMA).map_err(failure)?;
        let inode = inode(path).unwrap_or(0);
        Ok(Self { connection, path: path.to_owned(), inode })
    }

    /// Removes the files of a broken index.
    pub fn discard(path: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            // Whatever stays is found broken again at the next opening.
            let _found_again = std::fs::remove_file(file);
        }
    }

    /// Says whether the file was replaced by another process since it was opened.
    pub fn is_replaced(&self) -> bool {
        inode(&self.path) != Some(self.inode)
    }

    /// Follows `changes`, all or none.
    ///
    /// # Errors
    /// `corrupt`, `unavailable` or `denied`.
    pub fn apply<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failure)?;
        {
            let mut put = transaction
                .prepare_cached("INSERT INTO objects VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE SET size = ?2, stale_until = ?3, used_at = ?4")
                .map_err(failure)?;
            let mut touch = transaction.prepare_cached("UPDATE objects SET used_at = ?2 WHERE key = ?1").map_err(failure)?;
            let mut delete = transaction.prepare_cached("DELETE FROM objects WHERE key = ?1").map_err(failure)?;
            for change in changes {
                match change {
                    Change::Put { key, size, life, at } => put.execute(params![key, number(*size), number(life.stale_until), number(*at)]),
                    Change::Touch { key, at } => touch.execute(params![key, number(*at)]),
                    Change::Delete { key } => delete.execute(params![key]),
                }
                .map_err(failure)?;
            }
        }
        transaction.commit().map_err(failure)
    }

    /// Returns how many objects there are, and how many bytes they take.
    ///
    /// # Errors
    /// `corrupt` or `unavailable`.
    pub fn totals(&self) -> Result<(u64, u64)> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.max(0) as u64, row.get::<_, i64>(1)?.max(0) as u64));
        self.connection.prepare_cached("SELECT count, bytes FROM totals").map_err(failure)?.query_row([], read).map_err(failure)
    }

    /// Returns up to `limit` keys that were not used for longest, with their sizes.
    ///
    /// # Errors
    /// `corrupt` or `unavailable`.
    pub fn least_recently_used(&self, limit: u32) -> Result<Vec<(String, u64)>> {
        self.rows("SELECT key, size FROM objects ORDER BY used_at LIMIT ?1", params![limit])
    }

    /// Returns up to `limit` keys that can never be served again at `now`, with their sizes.
    ///
    /// # Errors
    /// `corrupt` or `unavailable`.
    pub fn ended(&self, now: Millis, limit: u32) -> Result<Vec<(String, u64)>> {
        self.rows("SELECT key, size FROM objects WHERE stale_until <= ?1 ORDER BY stale_until LIMIT ?2", params![number(now), limit])
    }

    fn rows(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) -> Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failure)?;
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0) as u64))).map_err(failure)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failure)
    }

    /// Lists up to `limit` keys that begin with `prefix` and sort after `after`. With a `delimiter`, keys that share
    /// what follows the prefix up to it are one row.
    ///
    /// Each row is one seek in the primary key: nothing is read that is not listed.
    ///
    /// # Errors
    /// `corrupt` or `unavailable`.
    pub fn list(&self, prefix: &str, delimiter: Option<&str>, after: Option<&str>, limit: usize) -> Result<(Vec<Listed>, bool)> {
        let end = after_prefix(prefix);
        let mut rows = Vec::new();
        let mut from =
            after.map_or_else(|| (prefix.to_owned(), true), |after| if after < prefix { (prefix.to_owned(), true) } else { (after.to_owned(), false) });
        loop {
            let (start, inclusive) = &from;
            let sql = match (inclusive, end.is_some()) {
                (true, true) => "SELECT key FROM objects WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
                (false, true) => "SELECT key FROM objects WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3",
                (true, false) => "SELECT key FROM objects WHERE key >= ?1 AND ?2 = '' ORDER BY key LIMIT ?3",
                (false, false) => "SELECT key FROM objects WHERE key > ?1 AND ?2 = '' ORDER BY key LIMIT ?3",
            };
            let mut statement = self.connection.prepare_cached(sql).map_err(failure)?;
            let wanted = limit - rows.len() + 1;
            let keys = statement.query_map(params![start, end.as_deref().unwrap_or(""), wanted as i64], |row| row.get::<_, String>(0)).map_err(failure)?;
            let mut jump = None;
            for key in keys {
                let key = key.map_err(failure)?;
                if rows.len() == limit {
                    return Ok((rows, true));
                }
                match delimiter.and_then(|delimiter| Some(key[prefix.len()..].find(delimiter)? + prefix.len() + delimiter.len())) {
                    None => rows.push(Listed::Key(key)),
                    Some(cut) => {
                        let common = key[..cut].to_owned();
                        jump = after_prefix(&common);
                        if after != Some(common.as_str()) {
                            rows.push(Listed::Prefix(common));
                        }
                        break;
                    }
                }
            }
            match jump {
                Some(next) => from = (next, true),
                None => return Ok((rows, false)),
            }
        }
    }

    /// Forgets every key that begins with `prefix`.
    ///
    /// # Errors
    /// `corrupt`, `unavailable` or `denied`.
    pub fn clear(&self, prefix: &str) -> Result<()> {
        match after_prefix(prefix) {
            Some(end) => self.connection.execute("DELETE FROM objects WHERE key >= ?1 AND key < ?2", params![prefix, end]),
            None => self.connection.execute("DELETE FROM objects WHERE key >= ?1", params![prefix]),
        }
        .map(|_| ())
        .map_err(failure)
    }
}

fn inode(path: &Path) -> Option<u64> {
    // Not by opening it: closing any descriptor of a file drops all of the process's locks on it, SQLite's among them.
    Some(std::fs::metadata(path).ok()?.ino())
}

/// SQLite's integers are signed: for ever is their largest.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn failure(error: rusqlite::Error) -> Error {
    let code = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Code::Corrupt,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Code::Denied,
        Some(_) => Code::Unavailable,
        // A table of another shape: not our index.
        None => Code::Corrupt,
    };
    Error::new(code, format!("index: {error}"))
}
