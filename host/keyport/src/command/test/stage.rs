//! An engine over nothing but one app, in memory, and the way out that it has: to the stand-in of the vendor and nowhere else,
//! or to the vendor.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use keyport_connect::{AppSource, Catalogue, Engine, EngineParts, ReadApp};
use keyport_egress::{Egress, EgressConfig, Origins, Resolve};
use keyport_manifest::AppId;
use keyport_plugin::PluginHost;
use keyport_vault::{MemoryStore, RootKey, Vault};
use serde_json::{Value, json};

use super::mock::Mock;
use super::play::{Play, Played, What};
use crate::apps;
use crate::command::Failure;
use crate::wiring::WiringError;

/// Knows no name: a request to a host that nobody stands in for goes nowhere.
struct NoNetwork(&'static str);

#[async_trait]
impl Resolve for NoNetwork {
    async fn resolve(&self, _: &str) -> Result<Vec<std::net::IpAddr>, String> {
        Err(self.0.to_owned())
    }
}

/// See the module.
pub struct Stage {
    engine: Engine,
    app: String,
}

impl Stage {
    /// The engine of one app. With a `mock` there is no network; without one `origins` are reached elsewhere.
    pub async fn new(
        source: &AppSource,
        folder: &Path,
        plugins: PluginHost,
        mock: Option<&Mock>,
        origins: &[String],
    ) -> Result<Self, Failure> {
        let said = |error: &dyn std::fmt::Display| Failure::Said(error.to_string());
        let pairs: Vec<(String, String)> = match mock {
            Some(mock) => mock.origins.clone(),
            None => origins
                .iter()
                .map(|text| {
                    let (from, to) = text.split_once('=').ok_or_else(|| {
                        Failure::Said(format!("`--origin {text}` is not FROM=TO"))
                    })?;
                    Ok((from.to_owned(), to.to_owned()))
                })
                .collect::<Result<_, Failure>>()?,
        };
        let mut config = EgressConfig {
            origins: Origins::parse(pairs).map_err(|e| said(&e))?,
            ..EgressConfig::default()
        };
        if let Some(mock) = mock {
            config.resolver = Arc::new(NoNetwork(match mock.reaches_vendor() {
                true => {
                    "through a connection only the app's base URL is reached; `--live` alone reaches every host"
                }
                false => "`keyport test` has no network; `--live` has",
            }));
        }
        let egress = Egress::new(config).map_err(|e| said(&e))?;
        let root = RootKey::generate().map_err(WiringError::from)?;
        let vault = Vault::open(Arc::new(MemoryStore::new()), root)
            .await
            .map_err(WiringError::from)?;
        let catalogue = Catalogue::default();
        let read = ReadApp::read(source.clone(), &|id: &AppId| apps::base(Some(folder), id))
            .map_err(|e| said(&e))?;
        let app = read.id().to_owned();
        catalogue
            .replace(read, &plugins)
            .await
            .map_err(|e| said(&e))?;
        let url = url::Url::parse("http://localhost:4700").map_err(|e| said(&e))?;
        let engine = Engine::new(EngineParts::new(vault, egress, plugins, catalogue, url)).await?;
        Ok(Self { engine, app })
    }

    /// Calls the component once.
    ///
    /// # Errors
    /// Where the values make no call: they are the fixture's, or the author's.
    pub async fn play(&self, play: &Play, mock: Option<&Mock>) -> Result<Played, Failure> {
        let (mut call, app) = self
            .engine
            .trial(&self.app, &play.trial, play.read_only)
            .await
            .map_err(|error| Failure::Said(format!("{}: {error}", play.name)))?;
        if let Some(mock) = mock {
            mock.expect(&play.script);
        }
        let seen = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sees, writes) = (Arc::clone(&seen), Arc::clone(&lines));
        call.pass.witness = Some(Arc::new(move |one| {
            sees.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(one);
        }));
        call.log = Arc::new(move |line| {
            let data = match &line.data {
                Value::Null => String::new(),
                data => format!(" {data}"),
            };
            let text = format!("{:?}: {}{data}", line.level, line.text);
            writes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(text);
        });
        let outcome = match &play.what {
            What::Check => app
                .check(call)
                .await
                .map(|account| json!({ "id": account.id, "label": account.label })),
            What::Action(name) => app.action(call, name, &play.input).await,
            What::Trigger(name) => app
                .poll(call, name, &play.input, play.cursor.as_ref())
                .await
                .map(|page| json!({ "events": page.events, "cursor": page.cursor, "more": page.more })),
        };
        let (received, remarks) = mock.map(Mock::took).unwrap_or_default();
        let take = |of: &Mutex<Vec<String>>| {
            std::mem::take(&mut *of.lock().unwrap_or_else(PoisonError::into_inner))
        };
        Ok(Played {
            outcome,
            seen: std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner)),
            received,
            lines: take(&lines),
            remarks,
        })
    }
}
