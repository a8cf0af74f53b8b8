//! Compiled code, kept between starts.
//!
//! Compiled code is run as it is: whoever can put a file here can run anything as this process. So the folder must belong
//! to this process's user and be closed to everybody else (checked at start and made so when new), every file must be a
//! plain file of that user, and its content must match the digest that was written with it, which catches a torn write
//! and a bad disk. Nothing compiled elsewhere is ever accepted: the name holds the digest of the component *we* were
//! given, and the engine's own compatibility hash. A file that does not hold is a miss, never an error.
//!
//! Left out: cleaning up. Old files are small next to a disk, and the folder may be emptied at any time.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::PluginError;
use crate::mapped;

const DIGEST_BYTES: usize = 32;

/// The folder of compiled code.
pub struct Cache {
    dir: PathBuf,
    engine: String,
}

impl Cache {
    /// Opens or makes the folder.
    pub fn open(dir: PathBuf, engine: &Engine) -> Result<Self, PluginError> {
        let wrong = |why: String| PluginError::Cache {
            folder: dir.display().to_string(),
            why,
        };
        make_private(&dir).map_err(|error| wrong(error.to_string()))?;
        if !is_private(&dir).map_err(|error| wrong(error.to_string()))? {
            return Err(wrong("others than its owner may write to it or read it; run `chmod 700` on it, or name another".to_owned()));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = format!("{:016x}", hasher.finish());
        Ok(Self { dir, engine })
    }

    fn path(&self, component_sha256: &str) -> PathBuf {
        self.dir
            .join(format!("{component_sha256}-{}.cwasm", self.engine))
    }

    /// The compiled component, if there is one that holds.
    pub fn get(&self, engine: &Engine, component_sha256: &str) -> Option<Component> {
        let path = self.path(component_sha256);
        let meta = fs::symlink_metadata(&path).ok()?;
        if !meta.is_file() || !same_owner(&meta, &self.dir) {
            tracing::warn!(path = %path.display(), "a compiled component that is not ours was ignored");
            return None;
        }
        let content = fs::read(&path).ok()?;
        let (digest, code) = content.split_at_checked(DIGEST_BYTES)?;
        if Sha256::digest(code).as_slice() != digest {
            tracing::warn!(path = %path.display(), "a compiled component is damaged; it is compiled again");
            return None;
        }
        mapped::load(engine, code)
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
        let path = self.path(component_sha256);
        let unfinished = path.with_extension(format!("{}.part", std::process::id()));
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&unfinished)?;
        file.write_all(Sha256::digest(&code).as_slice())?;
        file.write_all(&code)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, &path)?;
        Ok(())
    }
}

#[cfg(unix)]
fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

#[cfg(not(unix))]
fn make_private(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)
}

/// Whether the folder is a real one, this process's own, and closed to others. A new file tells who this process is.
#[cfg(unix)]
fn is_private(dir: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::symlink_metadata(dir)?;
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    let own = fs::File::create(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    Ok(meta.is_dir() && meta.mode() & 0o077 == 0 && meta.uid() == own)
}

#[cfg(not(unix))]
fn is_private(dir: &Path) -> std::io::Result<bool> {
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
mod tests {
    use super::*;

    fn engine() -> Engine {
        crate::engine::start(1, &crate::CallLimits::default()).unwrap()
    }

    fn empty_component(engine: &Engine) -> Component {
        // The eight bytes of a component without content.
        Component::from_binary(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_was_kept_is_found_again_and_a_changed_byte_is_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let cache = Cache::open(dir.path().join("compiled"), &engine).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        cache.put("abc", &empty_component(&engine));
        assert!(cache.get(&engine, "abc").is_some());
        let path = cache.path("abc");
        let mut content = fs::read(&path).unwrap();
        let last = content.len() - 1;
        content[last] ^= 1;
        fs::write(&path, content).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        fs::write(&path, b"short").unwrap();
        assert!(cache.get(&engine, "abc").is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_file_that_others_may_write_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let engine = engine();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(
            Cache::open(open, &engine),
            Err(PluginError::Cache { .. })
        ));

        let cache = Cache::open(dir.path().join("own"), &engine).unwrap();
        cache.put("abc", &empty_component(&engine));
        fs::set_permissions(cache.path("abc"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
        let target = dir.path().join("elsewhere");
        fs::rename(cache.path("abc"), &target).unwrap();
        std::os::unix::fs::symlink(&target, cache.path("abc")).unwrap();
        assert!(cache.get(&engine, "abc").is_none());
    }
}
