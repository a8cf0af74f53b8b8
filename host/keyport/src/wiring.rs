//! From a configuration to a running host: which part is made of what, in the order in which they need each other.
//!
//! vault → egress → plugin host → catalogue → engine. Nothing is decided here that is not in the configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keyport_connect::{Catalogue, Engine, EngineParts};
use keyport_egress::{Egress, EgressConfig, Origins};
use keyport_plugin::{CodeCache, PluginConfig, PluginHost};
use keyport_vault::{RootKey, RootKeyError, Vault, VaultOptions};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::apps;
use crate::command::Failure;
use crate::config::{Config, ROOT_KEY_VARIABLE};
use crate::folders::FolderError;
use crate::store;

/// Why a part of the host could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// No key, no start.
    #[error(
        "no root key is configured: name a file (`--root-key-file`, `root_key.file`), a command (`root_key.command`) or set \
         {ROOT_KEY_VARIABLE}; `keyport key root FILE` makes a new one"
    )]
    NoRootKey,
    /// The key, the store or their fit.
    #[error(transparent)]
    Vault(#[from] keyport_vault::VaultError),
    /// The key file.
    #[error(transparent)]
    RootKey(#[from] keyport_vault::RootKeyError),
    /// The thread that opens the store ended without an answer.
    #[error("the store could not be opened: {0}")]
    Opening(String),
    /// The files of the store.
    #[error(transparent)]
    Store(#[from] keyport_vault::StoreError),
    /// Origin overrides, exceptions, certificates.
    #[error("the settings for outgoing requests can't be used: {0}")]
    Egress(String),
    /// The sandbox.
    #[error(transparent)]
    Plugin(#[from] keyport_plugin::PluginError),
    /// An app.
    #[error("{0}")]
    Apps(String),
    /// The rules' own start.
    #[error(transparent)]
    Engine(#[from] keyport_connect::ConnectError),
    /// A folder of apps.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file or folder.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A host that is ready to serve.
pub struct Host {
    /// The product's rules, with everything behind them.
    pub engine: Engine,
    /// Where requests are sent elsewhere than their address says.
    pub origins: Vec<(String, String)>,
    /// The apps, and what was left out of them.
    pub catalogue: Catalogue,
    /// What runs their components.
    pub plugins: PluginHost,
}

/// Builds the host. The root key is read first: without it nothing is touched.
pub async fn host(config: &Config) -> Result<Host, WiringError> {
    let root = root_key(config)?;
    private_folder(&config.data)?;
    let code_key = root.code_key();
    let vault = open_vault(config, root).await?;
    let egress =
        Egress::new(egress(config)?).map_err(|error| WiringError::Egress(error.to_string()))?;
    let origins = egress
        .origins()
        .iter()
        .map(|one| (origin(&one.from), origin(&one.to)))
        .collect();
    let plugins = plugins(&config.data, code_key)?;
    let catalogue = apps::catalogue(config)?;
    let mut parts = EngineParts::new(
        vault,
        egress,
        plugins.clone(),
        catalogue.clone(),
        config.public_url.clone(),
    );
    parts.options.audit_keep = audit_keep(config);
    let engine = Engine::new(parts).await?;
    apps::report(&catalogue);
    // Now that every app is loaded it is known whose compiled code is in use; the rest has bounds.
    let tidied = plugins.tidy_cache(SystemTime::now()).await;
    if tidied.removed > 0 {
        tracing::info!(
            removed = tidied.removed,
            kept = tidied.kept,
            bytes = tidied.bytes,
            "compiled components that nobody used were removed"
        );
    }
    Ok(Host {
        engine,
        origins,
        catalogue,
        plugins,
    })
}

/// What runs components, with the compiled code of this host's data folder. Without the key that seals that code everything
/// is compiled anew and nothing is kept.
pub fn plugins(data: &Path, key: Option<Zeroizing<[u8; 32]>>) -> Result<PluginHost, WiringError> {
    Ok(PluginHost::new(PluginConfig {
        cache: key.map(|key| CodeCache::new(data.join("compiled"), key)),
        ..PluginConfig::default()
    })?)
}

/// The key for compiled code where it costs nothing to look: not by a command, which may ask a person or a far machine.
pub fn code_key_at_hand(config: &Config) -> Option<Zeroizing<[u8; 32]>> {
    match config.root_key.command {
        Some(_) => None,
        None => root_key(config).ok()?.code_key(),
    }
}

/// The rules without apps, for commands that look after the store. Nothing else may have it open.
pub async fn operator(config: &Config) -> Result<Engine, WiringError> {
    let root = root_key(config)?;
    private_folder(&config.data)?;
    let vault = open_vault(config, root).await?;
    let egress =
        Egress::new(egress(config)?).map_err(|error| WiringError::Egress(error.to_string()))?;
    let plugins = PluginHost::new(PluginConfig::default())?;
    let catalogue = Catalogue::default();
    let url = config.public_url.clone();
    let mut parts = EngineParts::new(vault, egress, plugins, catalogue, url);
    parts.options.audit_keep = audit_keep(config);
    Ok(Engine::new(parts).await?)
}

fn audit_keep(config: &Config) -> Duration {
    Duration::from_secs(u64::from(config.audit.keep_days) * 24 * 60 * 60)
}

/// The vault over the configured store. Rotations ask for the root key where it was had from.
async fn open_vault(config: &Config, root: RootKey) -> Result<Vault, WiringError> {
    let again = config.clone();
    let options = VaultOptions {
        root: Some(Arc::new(move || root_key_of(&again))),
        ..VaultOptions::default()
    };
    Ok(Vault::open_with(store::configured(config).await?, root, options).await?)
}

/// Binds, or says what is in the way.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Failure::Listen {
            address: address.to_string(),
            source,
        })
}

/// Ends when the process is told to stop.
pub async fn shutdown() {
    let interrupt = async {
        // Without the handler ctrl-c still ends the process, only less gracefully.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! { () = interrupt => {}, _ = terminate.recv() => {} }
            return;
        }
    }
    interrupt.await;
}

/// The root key from where the configuration says.
pub fn root_key(config: &Config) -> Result<RootKey, WiringError> {
    let named = config.root_key.file.is_some() || config.root_key.command.is_some();
    if !named && std::env::var_os(ROOT_KEY_VARIABLE).is_none() {
        return Err(WiringError::NoRootKey);
    }
    Ok(root_key_of(config)?)
}

fn root_key_of(config: &Config) -> Result<RootKey, RootKeyError> {
    let source = &config.root_key;
    if let Some(file) = &source.file {
        return RootKey::from_file(file);
    }
    if let Some(command) = &source.command {
        return RootKey::from_command(command);
    }
    let text = std::env::var(ROOT_KEY_VARIABLE).map_err(|_| RootKeyError::Malformed)?;
    RootKey::from_base64(&Zeroizing::new(text))
}

fn egress(config: &Config) -> Result<EgressConfig, WiringError> {
    let wrong = |what: String| WiringError::Egress(what);
    let origins = Origins::parse(
        config
            .origins
            .iter()
            .map(|(from, to)| (from.as_str(), to.as_str())),
    )
    .map_err(|error| wrong(error.to_string()))?;
    let mut allow_cidrs = Vec::new();
    for text in &config.egress.allow_cidrs {
        let parsed = text.parse().map_err(|_| {
            wrong(format!(
                "`{text}` in egress.allow_cidrs is not a network; write one such as 10.1.0.0/16"
            ))
        })?;
        allow_cidrs.push(parsed);
    }
    let mut extra_roots_pem = Vec::new();
    for path in &config.egress.extra_roots {
        extra_roots_pem.push(std::fs::read(path).map_err(|source| WiringError::File {
            path: path.clone(),
            source,
        })?);
    }
    Ok(EgressConfig {
        origins,
        allow_cidrs,
        extra_roots_pem,
        own_addresses: vec![config.listen],
        ..EgressConfig::default()
    })
}

/// A folder that only its owner can enter.
pub fn private_folder(path: &Path) -> Result<(), WiringError> {
    let file = |source| WiringError::File {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(file)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(file)?;
    }
    Ok(())
}

fn origin(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}
