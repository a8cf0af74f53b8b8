//! The file that remembers how far the store was (`keyport_connect::Position`), so that an older store is told at the start.
//!
//! It lies in the data folder unless `position` names another place: one on another disk, or on a share that only grows, sees more.
//! What cannot be read is told and replaced; a host that cannot write it serves all the same.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyport_connect::{Engine, Position};

use crate::config::Config;

/// How often it is written, where something has changed.
const EVERY: Duration = Duration::from_secs(10);

/// Where the file is.
pub fn path(config: &Config) -> PathBuf {
    config
        .position
        .clone()
        .unwrap_or_else(|| config.data.join("position.json"))
}

/// Compares the store with what was remembered. Trouble is told and stops nothing.
pub async fn compare(engine: &Engine, path: &Path) {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "whether the store is an older one is not known");
            return;
        }
    };
    let Ok(seen) = serde_json::from_slice::<Position>(&text) else {
        tracing::warn!(path = %path.display(), "the file that remembers how far the store was cannot be read and is made anew");
        return;
    };
    if let Err(error) = engine.compare(&seen).await {
        tracing::warn!(
            code = error.code(),
            "whether the store is an older one is not known"
        );
    }
}

/// Keeps the file up to date until it is dropped. The last state is written by [`write_now`].
pub async fn keep(engine: Engine, path: PathBuf) {
    let mut before = None;
    loop {
        tokio::time::sleep(EVERY).await;
        before = write_unless(&engine, &path, before).await;
    }
}

/// Writes it once.
pub async fn write_now(engine: &Engine, path: &Path) {
    write_unless(engine, path, None).await;
}

async fn write_unless(
    engine: &Engine,
    path: &Path,
    before: Option<(u64, u64)>,
) -> Option<(u64, u64)> {
    let Ok(now) = engine.position().await else {
        return before;
    };
    let at = Some((now.revision, now.seq));
    if at == before {
        return before;
    }
    match write(path, &now) {
        Ok(()) => at,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "how far the store is could not be written down");
            before
        }
    }
}

fn write(path: &Path, position: &Position) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(&serde_json::to_vec(position)?)?;
    file.sync_data()?;
    drop(file);
    std::fs::rename(&unfinished, path)
}
