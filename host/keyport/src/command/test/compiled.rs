//! Compiled components between two runs of `keyport test`, for who runs it alone: compiling a language runtime takes seconds.
//!
//! The code stands where caches do (`$XDG_CACHE_HOME`, or `~/.cache`), and the key by which a run tells its own from a
//! stranger's where settings do (`$XDG_CONFIG_HOME`, or `~/.config`): folders of caches are what build services carry from
//! one machine to another, and whoever can write into one of those shall not have code run here. Where there is no place for
//! either, everything is compiled each time.

use std::path::{Path, PathBuf};

use keyport_plugin::{Bounds, CodeCache};
use keyport_vault::{RootKey, RootKeyError};
use zeroize::Zeroizing;

/// Each build makes another component; the last few are what a next run wants.
const BYTES: u64 = 256 << 20;

/// Where compiled components are, and the key that seals them.
pub fn cache() -> Option<CodeCache> {
    let dir = folder("XDG_CACHE_HOME", ".cache")?.join("compiled");
    let key = key(&folder("XDG_CONFIG_HOME", ".config")?.join("compiled.key"))?;
    Some(CodeCache {
        bounds: Bounds {
            bytes: BYTES,
            ..Bounds::default()
        },
        ..CodeCache::new(dir, key)
    })
}

/// Our folder in the one that the variable names, else in this one of the person's own.
fn folder(variable: &str, of_home: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(of_home)))
        .filter(|base| base.is_absolute())
        .map(|base| base.join("keyport"))
}

/// The key in this file, which is made where there is none. A file that others may read or write is no key.
fn key(path: &Path) -> Option<Zeroizing<[u8; 32]>> {
    match RootKey::from_file(path) {
        Ok(kept) => kept.code_key(),
        Err(RootKeyError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path.parent()?).ok()?;
            let new = RootKey::generate().ok()?;
            match new.write_new_file(path) {
                Ok(()) => new.code_key(),
                // Another run was quicker.
                Err(RootKeyError::Exists { .. }) => RootKey::from_file(path).ok()?.code_key(),
                Err(_) => None,
            }
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_one_that_others_may_change_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings").join("compiled.key");
        let made = key(&path).unwrap();
        assert_eq!(key(&path).unwrap(), made);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let open = std::fs::Permissions::from_mode(0o666);
            std::fs::set_permissions(&path, open).unwrap();
            assert!(key(&path).is_none());
        }
    }
}
