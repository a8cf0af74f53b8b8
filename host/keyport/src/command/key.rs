//! `keyport key`: platform keys, and the root key file.
//!
//! These commands open the store themselves, so they work on a host that is not running; the store lets only one
//! process in. While a host runs, `POST /v1/keys` with a key that has `manage` does the same.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keyport_connect::view::KeyScope;
use keyport_connect::{Actor, Engine};
use keyport_vault::RootKey;

use super::{Failure, HostArguments, Outcome};
use crate::wiring::{self, WiringError};

/// `keyport key …`
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a platform key; it is shown once
    Create {
        /// What it is for, e.g. "production backend"
        name: String,
        /// What it may do: manage, connect, actions, proxy, read-credentials
        #[arg(
            long = "scope",
            value_delimiter = ',',
            required = true,
            value_name = "SCOPE"
        )]
        scopes: Vec<String>,
        #[command(flatten)]
        host: HostArguments,
    },
    /// List platform keys
    List {
        #[command(flatten)]
        host: HostArguments,
    },
    /// Revoke a platform key
    Revoke {
        /// Its id (key_…)
        id: String,
        #[command(flatten)]
        host: HostArguments,
    },
    /// Make a file with a new root key, readable by its owner only
    Root {
        /// The file to make; one that exists is left alone
        file: PathBuf,
    },
}

pub async fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        Command::Create { name, scopes, host } => {
            let scopes = scopes
                .iter()
                .map(|scope| scope.parse())
                .collect::<Result<Vec<KeyScope>, _>>()?;
            let created = engine(&host)
                .await?
                .create_key(&Actor::Host, &name, &scopes)
                .await?;
            // The secret alone goes to standard output, so that a script can take it.
            eprintln!(
                "Made {} \"{}\". This is the only time that it is shown:",
                created.key.id, created.key.name
            );
            println!("{}", created.secret);
        }
        Command::List { host } => {
            for key in engine(&host).await?.list_keys(&Actor::Host).await? {
                let scopes = key
                    .scopes
                    .iter()
                    .map(|scope| scope.as_str())
                    .collect::<Vec<_>>()
                    .join(",");
                let used = key.last_used_at.as_deref().unwrap_or("never used");
                println!("{}\t{}\t{scopes}\t{used}", key.id, key.name);
            }
        }
        Command::Revoke { id, host } => {
            engine(&host).await?.revoke_key(&Actor::Host, &id).await?;
            println!("Revoked {id}.");
        }
        Command::Root { file } => {
            RootKey::generate()
                .and_then(|key| key.write_new_file(&file))
                .map_err(WiringError::from)?;
            println!(
                "Made {}. Keep a copy apart from the backups of the data: without it nothing can be read.",
                file.display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules over the operator's own store. What only a serving host needs has stand-ins.
pub async fn engine(host: &HostArguments) -> Result<Engine, Failure> {
    let config = host.read(stand_ins(host))?;
    Ok(wiring::host(&config).await?.engine)
}

/// What a configuration must have but commands on the store do not need, where no file says it: asking for it would be a nuisance.
pub fn stand_ins(host: &HostArguments) -> toml::Table {
    let mut defaults = toml::Table::new();
    if host.config.is_none() {
        defaults.insert("public_url".into(), "http://localhost:4700".into());
        defaults.insert("listen".into(), "127.0.0.1:4700".into());
    }
    defaults
}
