//! One file per command. Each reads its flags, does its work through the other crates and says what happened.

pub mod app;
pub mod audit;
pub mod dev;
pub mod key;
pub mod operator;
pub mod serve;
pub mod store;
pub mod test;
pub mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Config, ConfigError, StoreAddress};
use crate::wiring::WiringError;

/// What a command ends with.
pub type Outcome = Result<ExitCode, Failure>;

/// Why a command could not do its work; printed as one sentence after `keyport: `.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the host could not be made.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// The asynchronous runtime could not start.
    #[error("the runtime could not start: {0}")]
    Runtime(std::io::Error),
    /// The address is taken or not ours.
    #[error("can't listen on {address}: {source}; choose another address")]
    Listen {
        /// What was asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or folder could not be read or made.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What authors' commands say.
    #[error(transparent)]
    Author(#[from] crate::author::Failure),
    /// The product's rules say no.
    #[error(transparent)]
    Refused(#[from] keyport_connect::ConnectError),
    /// Anything that is one sentence already.
    #[error("{0}")]
    Said(String),
}

impl Failure {
    /// 2 for what the caller wrote, 1 for what happened.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            _ => 1,
        }
    }
}

/// The flags of every command that opens the host's store.
#[derive(Args, Debug, Clone, Default)]
pub struct HostArguments {
    /// Configuration file (TOML)
    #[arg(long, env = "KEYPORT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the store and the compile cache
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Database that several hosts share (postgres://user@host/database); its password is better given by
    /// KEYPORT_STORE_PASSWORD or --store-password-file
    #[arg(long, value_name = "URL")]
    pub store: Option<StoreAddress>,
    /// File with the database's password
    #[arg(long, value_name = "FILE")]
    pub store_password_file: Option<PathBuf>,
    /// File with the root key
    #[arg(long, value_name = "FILE")]
    pub root_key_file: Option<PathBuf>,
}

impl HostArguments {
    /// The configuration that these flags, the file and the environment make together, over `defaults`.
    pub fn read(&self, mut flags: toml::Table) -> Result<Config, ConfigError> {
        for (place, path) in [
            (&["data"][..], &self.data),
            (&["root_key", "file"][..], &self.root_key_file),
            (&["store", "password_file"][..], &self.store_password_file),
        ] {
            if let Some(path) = path {
                config::put(
                    &mut flags,
                    place,
                    toml::Value::String(path.display().to_string()),
                );
            }
        }
        if let Some(url) = &self.store {
            let url = toml::Value::String(url.0.clone());
            config::put(&mut flags, &["store", "url"], url);
        }
        config::read(self.config.as_deref(), std::env::vars(), flags)
    }
}
