//! Compiled code, kept between starts.
//!
//! Compiled code is run as it is: whoever can put a file here can run anything as this process. So an entry is run only if
//! it carries the seal that this host made: an HMAC-SHA256 under a key that is nowhere near the folder (the caller derives it
//! from what it keeps secret anyway), over the code, the component that it was made of, and the engine and settings that
//! made it. A file that somebody else wrote, one of our own under another component's name, one of an older engine's under
//! this one's, a torn write and a bad disk are all the same: a miss, never an error. What was checked is what is run: the
//! bytes in memory, not the file again.
//!
//! Beside that the folder must belong to this process's user and be closed to everybody else (checked at start and made so
//! when new), and every file must be a plain file of that user.
//!
//! The name of an entry holds the digest of the component *we* were given, and a digest of the engine's version and
//! settings. How much is kept, and for how long, is [`tidy`]'s.
//!
//! Left out: an attacker who reads this process's memory, where the key and the code are.

mod tidy;

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;
use zeroize::Zeroizing;

pub use tidy::{Bounds, Tidied};

use crate::error::PluginError;
use crate::mapped;

/// Bytes of a seal.
const SEAL: usize = 32;
/// What stands before everything that is sealed, so that the key's other uses, should there ever be any, are apart.
const DOMAIN: &[u8] = b"keyport/compiled-code/v1";
/// The end of an entry's name.
const ENDING: &str = "cwasm";
/// Bytes of an entry. The largest known, a language runtime, takes 35 MB; room is made for an entry before its seal can be
/// checked, so what somebody else put there must not say how much.
const MAX_ENTRY: usize = 512 << 20;

/// Where compiled code is kept between starts, and the key that tells our own from a stranger's.
#[derive(Clone)]
pub struct CodeCache {
    /// A folder for nothing else; made with rights for its owner alone.
    pub dir: PathBuf,
    /// 32 secret bytes, the same at each start. With other ones, everything is compiled anew.
    pub key: Zeroizing<[u8; 32]>,
    /// How much is kept.
    pub bounds: Bounds,
}

impl CodeCache {
    /// With the usual bounds.
    #[must_use]
    pub fn new(dir: PathBuf, key: Zeroizing<[u8; 32]>) -> Self {
        Self {
            dir,
            key,
            bounds: Bounds::default(),
        }
    }
}

/// The folder of compiled code.
pub struct Cache {
    dir: PathBuf,
    /// The engine's version and settings, as part of a file's name.
    engine: String,
    key: Zeroizing<[u8; 32]>,
    bounds: Bounds,
    /// Entries that this process has read or written: they are in use, however old they look.
    used: Mutex<HashSet<String>>,
}

impl Cache {
    /// Opens or makes the folder.
    pub fn open(config: CodeCache, engine: &Engine) -> Result<Self, PluginError> {
        let CodeCache { dir, key, bounds } = config;
        let wrong = |why: String| PluginError::Cache {
            folder: dir.display().to_string(),
            why,
        };
        make_private(&dir).map_err(|error| wrong(error.to_string()))?;
        if !is_private(&dir).map_err(|error| wrong(error.to_string()))? {
            let why = "it is not a folder of this user's own that is closed to others; run as its owner, `chmod 700` it, or name another";
            return Err(wrong(why.to_owned()));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = format!("{:016x}", hasher.finish());
        Ok(Self {
            dir,
            engine,
            key,
            bounds,
            used: Mutex::default(),
        })
    }

    fn name(&self, component_sha256: &str) -> String {
        format!("{component_sha256}-{}.{ENDING}", self.engine)
    }

    /// The compiled component, if there is one that holds.
    pub fn get(&self, engine: &Engine, component_sha256: &str) -> Option<Component> {
        let name = self.name(component_sha256);
        let path = self.dir.join(&name);
        let meta = fs::symlink_metadata(&path).ok()?;
        if !meta.is_file() || !same_owner(&meta, &self.dir) {
            tracing::warn!(path = %path.display(), "a compiled component that is not ours was ignored");
            return None;
        }
        let length = usize::try_from(meta.len()).unwrap_or(usize::MAX);
        if length > MAX_ENTRY {
            tracing::warn!(path = %path.display(), "a compiled component that is larger than any of ours was ignored");
            return None;
        }
        let mut file = fs::File::open(&path).ok()?;
        let mut content = Vec::new();
        content.try_reserve_exact(length).ok()?;
        // Not a byte more, however it grows meanwhile.
        (&mut file)
            .take(meta.len())
            .read_to_end(&mut content)
            .ok()?;
        let (seal, code) = content.split_at_checked(SEAL)?;
        if self
            .mac(component_sha256, code)?
            .verify_slice(seal)
            .is_err()
        {
            tracing::warn!(path = %path.display(), "a compiled component does not carry this host's seal; it is compiled again");
            return None;
        }
        let component = mapped::load(engine, code)?;
        // When it was last of use is what a later start goes by; a disk that is read-only is no reason to fail.
        let _ = file.set_modified(SystemTime::now());
        self.in_use(name);
        Some(component)
    }

    /// Keeps a compiled component. A disk that is full costs time at the next start, nothing else.
    pub fn put(&self, component_sha256: &str, component: &Component) {
        if let Err(error) = self.write(component_sha256, component) {
            tracing::warn!(%error, "a compiled component could not be kept");
        }
    }

    fn write(
        &self,
        component_sha256: &str,
        component: &Component,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let code = component.serialize()?;
        if code.len() > MAX_ENTRY - SEAL {
            return Err("it is larger than what is read again".into());
        }
        let seal = self
            .mac(component_sha256, &code)
            .ok_or("no seal could be made")?
            .finalize()
            .into_bytes();
        let name = self.name(component_sha256);
        // Claimed before it is there: whoever tidies up meanwhile leaves it alone.
        self.in_use(name.clone());
        let path = self.dir.join(&name);
        let unfinished = path.with_extension(unfinished_ending());
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&unfinished)?;
        file.write_all(&seal)?;
        file.write_all(&code)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, &path)?;
        Ok(())
    }

    /// Removes what nobody has needed for long, and the longest unused beyond the size; see [`tidy`].
    pub fn tidy(&self, now: SystemTime) -> io::Result<Tidied> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        tidy::tidy(&self.dir, &used, self.bounds, now)
    }

    fn in_use(&self, name: String) {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
    }

    /// The seal of code that was made of this component by this engine. Every part but the last has a fixed length or is
    /// told by its length, so no two entries are the same text.
    fn mac(&self, component_sha256: &str, code: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.key).ok()?;
        for part in [DOMAIN, component_sha256.as_bytes(), self.engine.as_bytes()] {
            mac.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
            mac.update(part);
        }
        mac.update(code);
        Some(mac)
    }
}

/// What an entry ends with while this process writes it: another one for each write, so that of two of the same entry neither
/// writes into the other's.
fn unfinished_ending() -> String {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    format!("{}.{write}.part", std::process::id())
}

#[cfg(unix)]
fn make_private(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

/// Whether the folder is a real one, this process's own, and closed to others. A new file tells who this process is.
#[cfg(unix)]
fn is_private(dir: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(dir)?;
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    let own = fs::File::create(&probe)?.metadata()?.uid();
    match fs::remove_file(&probe) {
        // Another start in this process has removed it: both had made it.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(meta.is_dir() && meta.mode() & 0o077 == 0 && meta.uid() == own)
}

#[cfg(not(unix))]
fn is_private(dir: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(dir)?.is_dir())
}

#[cfg(unix)]
fn same_owner(meta: &fs::Metadata, dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(dir).is_ok_and(|dir| dir.uid() == meta.uid()) && meta.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn same_owner(_meta: &fs::Metadata, _dir: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests;
