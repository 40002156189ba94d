//! Object files: the value is the body, the rest lies beside it as an extended attribute.
//!
//! The attribute `user.undercroft` holds the 40-byte envelope (with a checksum of the body) and, where the file name
//! was cut, the key. A file system without extended attributes gets a side file `NAME%m` instead. So the files alone
//! are enough to rebuild the index, and a torn or changed body is noticed.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
    io::{ErrorKind, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, fstat, linkat, open, openat, renameat, statat, unlinkat},
    io::Errno,
};
use undercroft_engine::{
    Code, Error, Result,
    envelope::{HEADER, Header},
    key::MAX_KEY_BYTES,
};

use super::{name::Place, stamp::Stamp};

const ATTRIBUTE: &str = "user.undercroft";
const SIDE: &str = "%m";
/// Begins the names of temporary files; no key's name begins so.
const TEMPORARY: &str = ".";

/// A file as it was read.
#[derive(Debug)]
pub struct Content {
    /// The deadlines and the codec.
    pub header: Header,
    /// The key that lies with the metadata of a cut name.
    pub key: Option<String>,
    /// The body, unless the reader did not want it.
    pub body: Option<Vec<u8>>,
    /// The state of the file.
    pub stamp: Stamp,
}

/// The folder of object files.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    objects: OwnedFd,
    durable: bool,
    side_files: AtomicBool,
    exchanges: AtomicBool,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Files {
    /// Opens the folders below `root`, making them where they are missing.
    ///
    /// # Errors
    /// `unavailable` or `denied`, naming the folder.
    pub fn open(root: &Path, durable: bool) -> Result<Self> {
        for folder in ["objects", "live"] {
            let path = root.join(folder);
            match std::fs::create_dir_all(&path) {
                Ok(()) => {}
                // A folder that can only be read still serves what it holds.
                Err(_) if root.join("objects").is_dir() => {}
                Err(error) => return Err(failure("make the folder", &path, &error)),
            }
        }
        let objects = open(root.join("objects"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| failure("open the folder", &root.join("objects"), &errno.into()))?;
        Ok(Self { root: root.to_owned(), objects, durable, side_files: AtomicBool::new(false), exchanges: AtomicBool::new(false) })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the state of the file, or `None` when there is none.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn stamp(&self, place: &Place) -> Result<Option<Stamp>> {
        match statat(&self.objects, place.path.as_str(), AtFlags::empty()) {
            Ok(stat) => Ok(Some(Stamp::of(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(self.failure("look at", place, errno.into())),
        }
    }

    /// Reads a file. The body is read when `wants` says so of its header.
    ///
    /// # Errors
    /// `corrupt` when the metadata is missing or the body does not match it; `unavailable` or `denied`.
    pub fn read(&self, place: &Place, wants: impl FnOnce(&Header) -> bool) -> Result<Option<Content>> {
        let fd = match openat(&self.objects, place.path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(self.failure("open", place, errno.into())),
        };
        let stat = fstat(&fd).map_err(|errno| self.failure("look at", place, errno.into()))?;
        let mut buffer = [0; HEADER + MAX_KEY_BYTES];
        let length = self.read_attribute(&fd, place, &mut buffer)?;
        let attribute = &buffer[..length];
        let header = Header::read(attribute)?;
        let key = (length > HEADER).then(|| String::from_utf8_lossy(&attribute[HEADER..]).into_owned());
        let mut body = None;
        if wants(&header) {
            let mut bytes = Vec::with_capacity(stat.st_size as usize);
            File::from(fd).read_to_end(&mut bytes).map_err(|error| self.failure("read", place, error))?;
            Header::open(attribute, &bytes)?;
            body = Some(bytes);
        }
        Ok(Some(Content { header, key, body, stamp: Stamp::of(&stat) }))
    }

    fn read_attribute(&self, fd: &OwnedFd, place: &Place, buffer: &mut [u8]) -> Result<usize> {
        match fgetxattr(fd, ATTRIBUTE, &mut *buffer) {
            Ok(length) => return Ok(length),
            Err(Errno::NODATA) => {}
            Err(Errno::NOTSUP) => self.side_files.store(true, Ordering::Relaxed),
            Err(errno) => return Err(self.failure("read the metadata of", place, errno.into())),
        }
        let side = format!("{}{SIDE}", place.path);
        let mut file = match openat(&self.objects, side.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Err(Error::new(Code::Corrupt, format!("the file `{}` has no metadata", place.path))),
            Err(errno) => return Err(self.failure("read the metadata of", place, errno.into())),
        };
        let mut length = 0;
        while length < buffer.len() {
            match file.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failure("read the metadata of", place, error)),
            }
        }
        Ok(length)
    }

    /// Writes a file whole or not at all, replacing what is there; with `absent`, only where nothing is.
    ///
    /// Returns whether it was written.
    ///
    /// # Errors
    /// `unavailable` (a full disk says so) or `denied`. Nothing is left behind.
    pub fn write(&self, place: &Place, key: &str, header: &Header, body: &[u8], absent: bool) -> Result<bool> {
        let temporary = temporary(place);
        let written = self.write_temporary(&temporary, place, key, header, body).and_then(|()| self.name(&temporary, place, absent));
        if !matches!(written, Ok(true)) || absent {
            self.remove_temporary(&temporary);
        }
        written
    }

    fn create(&self, temporary: &str, place: &Place) -> Result<File> {
        let attempt = || openat(&self.objects, temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::from_raw_mode(0o644));
        let fd = match attempt() {
            Err(Errno::NOENT) => {
                let folder = self.root.join("objects").join(&place.path[..2]);
                std::fs::create_dir_all(&folder).map_err(|error| failure("make the folder", &folder, &error))?;
                attempt()
            }
            fd => fd,
        };
        fd.map(File::from).map_err(|errno| self.failure("write", place, errno.into()))
    }

    fn write_temporary(&self, temporary: &str, place: &Place, key: &str, header: &Header, body: &[u8]) -> Result<()> {
        let mut file = self.create(temporary, place)?;
        let mut attribute = Vec::with_capacity(HEADER + if place.cut { key.len() } else { 0 });
        attribute.extend_from_slice(&header.seal(body));
        if place.cut {
            attribute.extend_from_slice(key.as_bytes());
        }
        file.write_all(body).map_err(|error| self.failure("write", place, error))?;
        if !self.side_files.load(Ordering::Relaxed) {
            match fsetxattr(&file, ATTRIBUTE, &attribute, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::NOTSUP) => self.side_files.store(true, Ordering::Relaxed),
                Err(errno) => return Err(self.failure("write the metadata of", place, errno.into())),
            }
        }
        if self.side_files.load(Ordering::Relaxed) {
            self.write_side(place, &attribute)?;
        }
        if self.durable {
            file.sync_all().map_err(|error| self.failure("sync", place, error))?;
        }
        Ok(())
    }

    fn write_side(&self, place: &Place, attribute: &[u8]) -> Result<()> {
        let temporary = temporary(place);
        let side = Place { path: format!("{}{SIDE}", place.path), cut: false };
        let written = self.create(&temporary, place)?.write_all(attribute).map_err(|error| self.failure("write the metadata of", place, error));
        let named = written.and_then(|()| self.name(&temporary, &side, false));
        if named.is_err() {
            self.remove_temporary(&temporary);
        }
        named.map(|_| ())
    }

    /// Gives a temporary file its name. Returns whether it got it.
    fn name(&self, temporary: &str, place: &Place, absent: bool) -> Result<bool> {
        let named =
            if absent { linkat(&self.objects, temporary, &self.objects, place.path.as_str(), AtFlags::empty()) } else { self.replace(temporary, place) };
        match named {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(false),
            Err(errno) => return Err(self.failure("name", place, errno.into())),
        }
        if self.durable {
            let folder = self.root.join("objects").join(&place.path[..2]);
            File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| failure("sync the folder", &folder, &error))?;
        }
        Ok(true)
    }

    /// Puts a temporary file in the place of whatever is there; readers see the old file or the new one.
    ///
    /// Renaming over a file makes ext4 write the new one out at once (its `auto_da_alloc`), which costs three times the
    /// rest of the put. Exchanging the two names and removing the old file is as atomic and does not. A durable put has
    /// synced its file already.
    fn replace(&self, temporary: &str, place: &Place) -> rustix::io::Result<()> {
        let path = place.path.as_str();
        #[cfg(target_os = "linux")]
        if !self.durable {
            use rustix::fs::{RenameFlags, renameat_with};
            // What worked last is tried first: the other attempt is then mostly saved.
            let mut exchange = self.exchanges.load(Ordering::Relaxed);
            for _attempt in 0..8 {
                let flags = if exchange { RenameFlags::EXCHANGE } else { RenameFlags::NOREPLACE };
                match renameat_with(&self.objects, temporary, &self.objects, path, flags) {
                    Ok(()) => {
                        self.exchanges.store(exchange, Ordering::Relaxed);
                        return if exchange { unlinkat(&self.objects, temporary, AtFlags::empty()) } else { Ok(()) };
                    }
                    Err(Errno::EXIST | Errno::NOENT) => exchange = !exchange,
                    // A file system that knows no flags.
                    Err(Errno::INVAL | Errno::NOSYS) => break,
                    Err(errno) => return Err(errno),
                }
            }
        }
        renameat(&self.objects, temporary, &self.objects, path)
    }

    /// Removes a file. Returns whether there was one.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn remove(&self, place: &Place) -> Result<bool> {
        let removed = match unlinkat(&self.objects, place.path.as_str(), AtFlags::empty()) {
            Ok(()) => true,
            Err(Errno::NOENT | Errno::NOTDIR) => false,
            Err(errno) => return Err(self.failure("remove", place, errno.into())),
        };
        if self.side_files.load(Ordering::Relaxed) {
            match unlinkat(&self.objects, format!("{}{SIDE}", place.path), AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.failure("remove the metadata of", place, errno.into())),
            }
        }
        Ok(removed)
    }

    /// Removes a file if `test` holds of its header, even while others write it. Returns whether it was removed.
    ///
    /// The file is first moved aside, which only one process can do; if another was put meanwhile, it is moved back
    /// unless a still newer one stands there.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn remove_if(&self, place: &Place, test: impl Fn(&Header) -> bool) -> Result<bool> {
        match self.read(place, |_| false) {
            Ok(None) => return Ok(false),
            Ok(Some(read)) if !test(&read.header) => return Ok(false),
            Err(error) if error.code() != Code::Corrupt => return Err(error),
            _ => {}
        }
        let aside = temporary(place);
        match renameat(&self.objects, place.path.as_str(), &self.objects, aside.as_str()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(self.failure("move", place, errno.into())),
        }
        let mut buffer = [0; HEADER + MAX_KEY_BYTES];
        let opened = openat(&self.objects, aside.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let taken = opened.ok().and_then(|fd| fgetxattr(&fd, ATTRIBUTE, &mut buffer).ok()).and_then(|length| Header::read(&buffer[..length]).ok());
        let is_right = taken.is_none_or(|header| test(&header));
        if !is_right {
            self.name(&aside, place, true)?;
        }
        self.remove_temporary(&aside);
        Ok(is_right)
    }

    fn remove_temporary(&self, temporary: &str) {
        // One that stays is removed by the next process that finds this one dead.
        let _removed_later = unlinkat(&self.objects, temporary, AtFlags::empty());
    }

    /// Removes the temporary files of a process that ended.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn remove_temporaries(&self, process: &str) -> Result<()> {
        let start = format!("{TEMPORARY}{process}-");
        self.visit(|name, path| {
            if name.starts_with(&start) {
                self.remove_temporary(path);
            }
        })
    }

    /// Calls `visit` with the name of every object file and its place.
    ///
    /// # Errors
    /// `unavailable` or `denied`.
    pub fn walk(&self, mut visit: impl FnMut(&str, Place)) -> Result<()> {
        self.visit(|name, path| {
            if !name.starts_with(TEMPORARY) && !name.ends_with(SIDE) {
                visit(name, Place { path: path.to_owned(), cut: super::name::is_cut(name) });
            }
        })
    }

    /// Calls `visit` with the name of every file below the folder of objects, and its path from there.
    fn visit(&self, mut visit: impl FnMut(&str, &str)) -> Result<()> {
        let objects = self.root.join("objects");
        let folders = match std::fs::read_dir(&objects) {
            Ok(folders) => folders,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failure("list", &objects, &error)),
        };
        for folder in folders {
            let folder = folder.map_err(|error| failure("list", &objects, &error))?;
            let Some(folder_name) = folder.file_name().to_str().map(str::to_owned) else { continue };
            let files = match std::fs::read_dir(folder.path()) {
                Ok(files) => files,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
                Err(error) => return Err(failure("list", &folder.path(), &error)),
            };
            for file in files {
                let file = file.map_err(|error| failure("list", &folder.path(), &error))?;
                let name = file.file_name();
                if let Some(name) = name.to_str() {
                    visit(name, &format!("{folder_name}/{name}"));
                }
            }
        }
        Ok(())
    }

    /// Returns the key of the object file with this name: from the name, or from its metadata when that was cut.
    pub fn key(&self, name: &str, place: &Place) -> Option<String> {
        if !place.cut {
            return super::name::key_of(name);
        }
        self.read(place, |_| false).ok()??.key
    }

    fn failure(&self, what: &str, place: &Place, error: std::io::Error) -> Error {
        failure(what, &self.root.join("objects").join(&place.path), &error)
    }
}

/// Returns a name for a temporary file: in the folder of its object, so that naming it changes one folder only.
fn temporary(place: &Place) -> String {
    format!("{}/{TEMPORARY}{}-{}", &place.path[..2], process_name(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Names this process among all that may share the folder: in containers, process ids repeat.
pub(super) fn process_name() -> String {
    static CHANCE: OnceLock<u64> = OnceLock::new();
    let chance = CHANCE.get_or_init(|| RandomState::new().build_hasher().finish());
    format!("{}.{chance:x}", std::process::id())
}

/// Turns an error of the file system into ours.
pub fn failure(what: &str, path: &Path, error: &std::io::Error) -> Error {
    let code = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Code::Denied,
        _ => Code::Unavailable,
    };
    Error::new(code, format!("cannot {what} `{}`: {}", path.display(), error.to_string().to_lowercase()))
}
