//! The store that the operator named: the folder of one machine, or a database that several share.
//!
//! A database's password may stand in its address, in a file, or in `KEYPORT_STORE_PASSWORD`; only one of them, so that it is
//! never in doubt which one was refused. Where the address comes from a flag, other users of the machine can read it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyport_vault::{PostgresOptions, PostgresStore, SledStore, Store, StoreError};
use zeroize::Zeroizing;

use crate::config::{Config, STORE_PASSWORD_VARIABLE};
use crate::wiring::WiringError;

/// Opens the store of a configuration.
pub async fn configured(config: &Config) -> Result<Arc<dyn Store>, WiringError> {
    match &config.store.url {
        Some(url) => {
            let options = database(&url.0, config.store.password_file.as_deref())?;
            tracing::info!(database = options.shown(), "the store is a database");
            Ok(Arc::new(PostgresStore::open(options).await?))
        }
        None => Ok(Arc::new(folder(config.data.join("store")).await?)),
    }
}

/// How to reach a database.
pub fn database(url: &str, password_file: Option<&Path>) -> Result<PostgresOptions, WiringError> {
    let options = PostgresOptions::parse(url)?;
    let variable = std::env::var(STORE_PASSWORD_VARIABLE)
        .ok()
        .map(Zeroizing::new);
    let setup = |text: String| WiringError::Store(StoreError::Setup(text));
    match (options.has_password(), password_file, variable) {
        (true, None, None) | (false, None, None) => Ok(options),
        (false, Some(file), None) => Ok(options.with_password(&read(file)?)),
        (false, None, Some(password)) => Ok(options.with_password(&password)),
        _ => Err(setup(format!(
            "the database's password is given more than once: in its address, in a file or in {STORE_PASSWORD_VARIABLE}; keep one"
        ))),
    }
}

fn read(file: &Path) -> Result<Zeroizing<String>, WiringError> {
    let failed = |source| WiringError::File {
        path: file.to_owned(),
        source,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file)
            .map_err(failed)?
            .permissions()
            .mode();
        if mode & 0o007 != 0 {
            return Err(WiringError::Store(StoreError::Setup(format!(
                "everybody on this machine can read the password in {0}; run `chmod 600 {0}`",
                file.display()
            ))));
        }
    }
    let text = Zeroizing::new(std::fs::read_to_string(file).map_err(failed)?);
    Ok(Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// Opening recovers what a crash left, which may take a while; it has a thread where it may block.
pub async fn folder(folder: PathBuf) -> Result<SledStore, WiringError> {
    match tokio::task::spawn_blocking(move || SledStore::open(folder)).await {
        Ok(opened) => Ok(opened?),
        Err(error) => Err(WiringError::Opening(error.to_string())),
    }
}
