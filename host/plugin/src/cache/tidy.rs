//! What is thrown out of the folder of compiled code: it would else grow with every update of an app and of the engine.
//!
//! Two bounds: entries that no start has used for a while, whoever made them (an older engine's are never read again), and
//! beyond a size the longest unused first. When an entry was last of use is its file's time of change, which every read
//! sets: access times are switched off on many disks. An entry that this process has read or written is in use and stays,
//! even where such entries alone are over the size; a line in the log says so.
//!
//! Left alone: what is not named as we name things. The folder is ours, but a mistake in a setting must not empty another.
//! Not needed: locks against another process. A running host has its code in memory; a file that is gone is compiled again.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::ENDING;

/// An unfinished write older than this belongs to a process that is gone.
const UNFINISHED: Duration = Duration::from_secs(60 * 60);

/// How much compiled code is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Entries that no start has used for this long are removed.
    pub unused: Duration,
    /// Bytes of all entries together; beyond it the longest unused go first.
    pub bytes: u64,
}

impl Default for Bounds {
    /// 30 days and 2 GiB: a Python app takes 35 MB compiled, a Rust one half a megabyte.
    fn default() -> Self {
        Self {
            unused: Duration::from_secs(30 * 24 * 60 * 60),
            bytes: 2 << 30,
        }
    }
}

/// What came of tidying up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Entries that were removed.
    pub removed: usize,
    /// Entries that stayed.
    pub kept: usize,
    /// Bytes of those.
    pub bytes: u64,
}

struct Entry {
    path: PathBuf,
    name: String,
    bytes: u64,
    unused: Duration,
}

/// See the module.
pub fn tidy(
    dir: &Path,
    used: &HashSet<String>,
    bounds: Bounds,
    now: SystemTime,
) -> io::Result<Tidied> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let Ok(entry) = entry else { continue };
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Not followed: of a link, the link is looked at and, if it goes, the link goes.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() {
            continue;
        }
        // A clock that was set back makes an entry new, not ancient.
        let unused = meta
            .modified()
            .ok()
            .and_then(|at| now.duration_since(at).ok())
            .unwrap_or_default();
        match kind(&name) {
            Kind::Entry => entries.push(Entry {
                path: entry.path(),
                name,
                bytes: meta.len(),
                unused,
            }),
            Kind::Unfinished if unused > UNFINISHED => {
                let _ = fs::remove_file(entry.path());
            }
            Kind::Unfinished | Kind::Foreign => {}
        }
    }
    // The longest unused first; of two the same, always the same one.
    entries.sort_by(|a, b| b.unused.cmp(&a.unused).then_with(|| a.name.cmp(&b.name)));
    let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let mut tidied = Tidied::default();
    for entry in &entries {
        let over = total > bounds.bytes || entry.unused > bounds.unused;
        if over && !used.contains(&entry.name) && fs::remove_file(&entry.path).is_ok() {
            total = total.saturating_sub(entry.bytes);
            tidied.removed += 1;
        } else {
            tidied.kept += 1;
        }
    }
    tidied.bytes = total;
    if total > bounds.bytes {
        tracing::warn!(
            folder = %dir.display(), bytes = total, bound = bounds.bytes,
            "the compiled code of the apps in use alone is over the bound of its folder"
        );
    }
    Ok(tidied)
}

enum Kind {
    Entry,
    Unfinished,
    Foreign,
}

/// `<64 hexadecimal>-<16 hexadecimal>.cwasm`, the same with `.<process>.<write>.part` for its ending, or a probe of a start that was cut off.
fn kind(name: &str) -> Kind {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if name.strip_prefix(".probe.").is_some_and(number) {
        return Kind::Unfinished;
    }
    let Some((stem, ending)) = name.split_once('.') else {
        return Kind::Foreign;
    };
    if !stem
        .split_once('-')
        .is_some_and(|(component, engine)| hex(component, 64) && hex(engine, 16))
    {
        return Kind::Foreign;
    }
    if ending == ENDING {
        return Kind::Entry;
    }
    match ending.strip_suffix(".part") {
        Some(whose) if whose.split('.').all(number) => Kind::Unfinished,
        _ => Kind::Foreign,
    }
}
