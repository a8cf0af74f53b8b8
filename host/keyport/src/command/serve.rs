//! `keyport serve`: the host, from a configuration.

use std::process::ExitCode;

use clap::Args;
use keyport_server::{Listen, ServerState, Tls};
use toml::{Table, Value};

use super::{Failure, HostArguments, Outcome};
use crate::config::{self, Config};
use crate::{logs, position, wiring};

/// Flags of `serve`; each overrides its key in the configuration.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    host: HostArguments,
    /// What browsers call this host, e.g. https://connect.example.com
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where to listen, e.g. 0.0.0.0:4700
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A proxy in front of this host speaks TLS
    #[arg(long)]
    behind_proxy: bool,
    /// Certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
}

impl Arguments {
    fn flags(&self) -> Table {
        let mut table = Table::new();
        for (place, text) in [
            (&["public_url"][..], &self.public_url),
            (&["listen"][..], &self.listen),
            (&["tls", "certificate"][..], &self.tls_certificate),
            (&["tls", "key"][..], &self.tls_key),
        ] {
            if let Some(text) = text {
                config::put(&mut table, place, Value::String(text.clone()));
            }
        }
        if self.behind_proxy {
            config::put(&mut table, &["behind_proxy"], Value::Boolean(true));
        }
        table
    }
}

/// Runs until it is told to stop (SIGINT or SIGTERM), then lets running requests end.
pub async fn run(arguments: Arguments) -> Outcome {
    let config = arguments.host.read(arguments.flags())?;
    logs::start(&config.log);
    // Everything that the operator may have got wrong is told before the store is touched.
    let listen = listen(&config)?;
    let host = wiring::host(&config).await?;
    let listener = wiring::bind(config.listen).await?;
    for (from, to) in &host.origins {
        tracing::warn!(
            from,
            to,
            "requests to this origin go elsewhere, as the configuration says"
        );
    }
    tracing::info!(listen = %config.listen, public_url = %config.public_url, apps = host.catalogue.len(), "serving");
    let state = ServerState::new(host.engine, &config.public_url)
        .map_err(|error| Failure::Said(error.to_string()))?;
    let position = position::path(&config);
    let engine = state.engine().clone();
    position::compare(&engine, &position).await;
    let kept = tokio::spawn(position::keep(engine.clone(), position.clone()));
    let control = {
        let (state, data) = (state.clone(), config.data.clone());
        tokio::spawn(async move { keyport_server::control::serve(state, &data).await })
    };
    keyport_server::serve(state, listener, listen, wiring::shutdown())
        .await
        .map_err(|error| Failure::Said(format!("serving ended: {error}")))?;
    let _ = control.await;
    kept.abort();
    position::write_now(&engine, &position).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

fn listen(config: &Config) -> Result<Listen, Failure> {
    let tls = match &config.tls {
        Some(files) => Some(
            Tls::from_files(&files.certificate, &files.key)
                .map_err(|error| Failure::Said(error.to_string()))?,
        ),
        None => None,
    };
    let listen = Listen {
        address: config.listen,
        tls,
        behind_proxy: config.behind_proxy,
    };
    listen
        .check()
        .map_err(|error| Failure::Said(error.to_string()))?;
    Ok(listen)
}
