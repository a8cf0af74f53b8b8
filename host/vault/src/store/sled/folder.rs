//! The store's folder: who may read it, who uses it, and whose it is.
//!
//! ```text
//! <folder>/           0700; files in it 0600
//!   STORE             format and the store's random id; written last when a store is made
//!   lock              held (flock) by the one process that uses the store; contains its process id
//!   journal/*.wal     the redo journal
//!   snapshots/*.snap  the latest two snapshots
//!   index/<n>.<m>/    sled's files: the index of what came after snapshot n (16 hex digits); m tells several apart
//!   quarantine/       what was found damaged, the latest few, for whoever wants to look at it
//! ```
//! The id is in `STORE` and in every part: parts of different stores never meet.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

const FORMAT: &str = "keyport store 2";
/// The layout of builds before the first release, which nothing reads any more.
const FIRST_FORMAT: &str = "keyport store 1";
/// How many damaged parts are kept.
const QUARANTINED: usize = 2;

/// The random name of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreId(pub(super) [u8; 16]);

/// The folder, locked for this process as long as this lives.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, closes it to others, and locks it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        make_private(path)?;
        for part in ["journal", "snapshots", "index"] {
            make_private(&path.join(part))?;
        }
        let lock_path = path.join("lock");
        let mut lock = open_options()
            .read(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(unavailable(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                return Err(StoreError::Locked(format!(
                    "the store {} is in use by another process (pid {}); stop that one first",
                    path.display(),
                    holder.trim()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(&lock_path)(error)),
        }
        // Only for the message above; the lock is what counts.
        let _ = lock.set_len(0);
        let _ = write!(lock, "{}", std::process::id());
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.path.join("index")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a damaged part aside.
    pub(super) fn quarantine(&self, part: &Path) -> Result<(), StoreError> {
        let aside = self.path.join("quarantine");
        make_private(&aside)?;
        let name = part.file_name().unwrap_or_default().to_string_lossy();
        let mut kept: Vec<(u64, PathBuf)> = std::fs::read_dir(&aside)
            .map_err(unavailable(&aside))?
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let number = path
                    .file_name()?
                    .to_str()?
                    .split_once('-')?
                    .0
                    .parse()
                    .ok()?;
                Some((number, path))
            })
            .collect();
        kept.sort();
        let next = kept.last().map_or(1, |(number, _)| number + 1);
        let to = aside.join(format!("{next}-{name}"));
        std::fs::rename(part, &to).map_err(unavailable(part))?;
        tracing::warn!(from = %part.display(), to = %to.display(), "a damaged part of the store was put aside");
        let over = (kept.len() + 1).saturating_sub(QUARANTINED);
        for (_, old) in kept.iter().take(over) {
            // Only room is lost when this fails.
            let _ = match old.is_dir() {
                true => std::fs::remove_dir_all(old),
                false => std::fs::remove_file(old),
            };
        }
        Ok(())
    }

    /// The store's id; `None` when no store was finished here.
    pub(super) fn id(&self) -> Result<Option<StoreId>, StoreError> {
        let path = self.path.join("STORE");
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(&path)(error)),
        };
        let id = text.lines().nth(1).and_then(from_hex);
        match (text.lines().next(), id) {
            (Some(FORMAT), Some(id)) => Ok(Some(StoreId(id))),
            (Some(FIRST_FORMAT), _) => Err(StoreError::Setup(format!(
                "the store in {folder} was made by a build from before the first release, whose format nothing reads any more (nothing was \
                 changed); move {folder} away, start with an empty one, and have the accounts connected again",
                folder = self.path.display()
            ))),
            _ => Err(StoreError::Corrupt(format!(
                "{} is not a store file of this version of keyport; restore the store from a backup",
                path.display()
            ))),
        }
    }

    /// Declares the store made.
    pub(super) fn set_id(&self, id: StoreId) -> Result<(), StoreError> {
        let unfinished = self.path.join("STORE.new");
        let failed = unavailable(&unfinished);
        let mut file = new_file(&unfinished).map_err(&failed)?;
        let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        file.write_all(format!("{FORMAT}\n{hex}\n").as_bytes())
            .map_err(&failed)?;
        file.sync_all().map_err(&failed)?;
        std::fs::rename(&unfinished, self.path.join("STORE")).map_err(&failed)?;
        sync_folder(&self.path)
    }
}

fn from_hex(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(text, 16)
        .ok()
        .filter(|_| text.len() == 32)
        .map(u128::to_be_bytes)
}

/// An error of the file system at this path.
pub(super) fn unavailable(path: &Path) -> impl Fn(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// A file that did not exist or is emptied, readable by its user only.
pub(super) fn new_file(path: &Path) -> std::io::Result<File> {
    open_options().create(true).truncate(true).open(path)
}

fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes new names and removals in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(unavailable(path))
}

/// Makes a folder that is its user's alone.
pub(super) fn make_private(folder: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(folder).map_err(unavailable(folder))?;
    restrict(folder, 0o700)
}

/// Closes everything below to others: sled makes its files with the process's usual mode.
pub(super) fn restrict_all(folder: &Path) -> Result<(), StoreError> {
    for entry in std::fs::read_dir(folder).map_err(unavailable(folder))? {
        let entry = entry.map_err(unavailable(folder))?;
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            restrict(&path, 0o700)?;
            restrict_all(&path)?;
        } else {
            // sled removes files of its own accord; one that is gone needs no closing.
            match restrict(&path, 0o600) {
                Err(_) if !path.exists() => {}
                other => other?,
            }
        }
    }
    Ok(())
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(path).map_err(unavailable(path))?;
    if meta.permissions().mode() & 0o777 != mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .map_err(unavailable(path))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) -> Result<(), StoreError> {
    Ok(())
}
