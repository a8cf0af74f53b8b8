//! From a configuration to a running host: which part is made of what, in the order in which they need each other.
//!
//! vault → egress → plugin host → catalogue → engine. Nothing is decided here that is not in the configuration.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyport_connect::{AppSource, Catalogue, Engine, EngineParts};
use keyport_egress::{Egress, EgressConfig, Origins};
use keyport_manifest::{Component, Manifest};
use keyport_plugin::{PluginConfig, PluginHost};
use keyport_vault::{RootKey, RootKeyError, Vault, VaultOptions};
use tokio::net::TcpListener;

use crate::command::Failure;
use crate::config::{Config, ROOT_KEY_VARIABLE};
use crate::embedded;
use crate::folders::{FolderError, app_folders};
use crate::store;

/// A component larger than this is not an app's: the largest language runtime known is 20 MB.
const COMPONENT_MAX_BYTES: u64 = 64 << 20;

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
    #[error("the apps can't be loaded:\n{0}")]
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
    /// How many apps it knows.
    pub apps: usize,
}

/// Builds the host. The root key is read first: without it nothing is touched.
pub async fn host(config: &Config) -> Result<Host, WiringError> {
    let root = root_key(config)?;
    private_folder(&config.data)?;
    let vault = open_vault(config, root).await?;
    let egress =
        Egress::new(egress(config)?).map_err(|error| WiringError::Egress(error.to_string()))?;
    let origins = egress
        .origins()
        .iter()
        .map(|one| (origin(&one.from), origin(&one.to)))
        .collect();
    let plugins = PluginHost::new(PluginConfig {
        cache_dir: Some(config.data.join("compiled")),
        ..PluginConfig::default()
    })?;
    let catalogue = catalogue(&config.apps)?;
    let apps = catalogue.len();
    let mut parts = EngineParts::new(vault, egress, plugins, catalogue, config.public_url.clone());
    parts.options.audit_keep = audit_keep(config);
    let engine = Engine::new(parts).await?;
    Ok(Host {
        engine,
        origins,
        apps,
    })
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
    RootKey::from_base64(&zeroize::Zeroizing::new(text))
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

/// The apps of the binary, and those of the operator's folders.
fn catalogue(folders: &[PathBuf]) -> Result<Catalogue, WiringError> {
    Catalogue::load(sources(folders)?).map_err(|error| WiringError::Apps(error.to_string()))
}

/// The manifests of the same apps, for commands that only look at them.
pub fn manifests(folders: &[PathBuf]) -> Result<Vec<Manifest>, WiringError> {
    let sources = sources(folders)?;
    let bases = |id: &keyport_manifest::AppId| {
        keyport_manifest::base_among(id, sources.iter().map(|it| it.manifest_yaml.as_str()))
    };
    let read = |source: &AppSource| {
        keyport_manifest::parse_with(&source.origin, &source.manifest_yaml, &bases).map_err(|_| {
            WiringError::Apps(format!(
                "{} has errors; `keyport validate` shows them",
                source.origin
            ))
        })
    };
    sources.iter().map(read).collect()
}

/// A folder may hold one app or a folder per app.
fn sources(folders: &[PathBuf]) -> Result<Vec<AppSource>, WiringError> {
    let mut sources = Vec::new();
    for app in embedded::apps() {
        sources.push(AppSource {
            origin: format!("{} (built in)", app.id),
            manifest_yaml: app.manifest.to_owned(),
            logo_svg: app
                .logo
                .map(|logo| bytes::Bytes::from_static(logo.as_bytes())),
            component: embedded_component(app.component, app.id)?,
        });
    }
    for folder in folders {
        for app in app_folders(folder)? {
            sources.push(app_source(&app)?);
        }
    }
    Ok(sources)
}

fn app_source(folder: &Path) -> Result<AppSource, WiringError> {
    let path = folder.join("manifest.yaml");
    let manifest_yaml = std::fs::read_to_string(&path).map_err(|source| WiringError::File {
        path: path.clone(),
        source,
    })?;
    let origin = path.display().to_string();
    // A manifest that can't be read names no component; the catalogue then says what is wrong with it.
    let bases = |id: &keyport_manifest::AppId| {
        // An id is letters, digits and hyphens: it cannot lead elsewhere.
        let beside = folder.join("..").join(id.as_str()).join("manifest.yaml");
        std::fs::read_to_string(beside).ok().or_else(|| {
            let mut apps = embedded::apps().iter();
            apps.find(|app| app.id == id.as_str())
                .map(|app| app.manifest.to_owned())
        })
    };
    let component = match keyport_manifest::parse_with(&origin, &manifest_yaml, &bases) {
        Ok(manifest) => component(folder, &manifest.component)?,
        Err(_) => Arc::from(Vec::new()),
    };
    let logo_svg = std::fs::read(folder.join("logo.svg"))
        .ok()
        .map(bytes::Bytes::from);
    Ok(AppSource {
        origin,
        manifest_yaml,
        logo_svg,
        component,
    })
}

fn component(folder: &Path, component: &Component) -> Result<Arc<[u8]>, WiringError> {
    let path = match component {
        Component::Rest => return embedded_component("rest", &folder.display().to_string()),
        Component::Provider(name) => {
            return embedded_component(name, &folder.display().to_string());
        }
        Component::Path(path) => folder.join(path),
    };
    let file = |source| WiringError::File {
        path: path.clone(),
        source,
    };
    let mut bytes = Vec::new();
    std::fs::File::open(&path)
        .map_err(file)?
        .take(COMPONENT_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(file)?;
    if bytes.len() as u64 > COMPONENT_MAX_BYTES {
        return Err(WiringError::Apps(format!(
            "{} is larger than 64 MiB",
            path.display()
        )));
    }
    Ok(Arc::from(bytes))
}

fn embedded_component(name: &str, app: &str) -> Result<Arc<[u8]>, WiringError> {
    embedded::component(name).map(Arc::from).ok_or_else(|| {
        WiringError::Apps(format!("{app}: this binary has no component called `{name}`; name a file, such as component.wasm"))
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
