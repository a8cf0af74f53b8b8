//! The first start of a component, when it is loaded: with nothing to reach and nothing to know.
//!
//! It finds what linking does not: exports of another shape, and start-up code that traps or takes too much. Nothing of
//! the contract is called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyport_egress::{Egress, Pass, Purpose};
use keyport_manifest::AllowedHosts;

use crate::app::{LoadedApp, first_line, store};
use crate::call::{Call, SecretKit};
use crate::error::PluginError;

/// Language runtimes take up to a second to start on a busy machine.
const TIME: Duration = Duration::from_secs(10);

pub async fn start_once(loaded: &LoadedApp, egress: Egress) -> Result<(), PluginError> {
    let app = &loaded.0.app;
    let failed = |error: wasmtime::Error| PluginError::Start {
        app: app.clone(),
        why: first_line(&format!("{error:#}")),
    };
    let call = Call {
        manifest: Arc::from("{}"),
        values: BTreeMap::new(),
        egress,
        pass: Pass::new("@keyport", Purpose::Guest, AllowedHosts::default()),
        secrets: SecretKit::none(),
        log: Arc::new(|_| {}),
        read_only: true,
        deadline: TIME,
    };
    let _permit = loaded.0.permits.acquire().await;
    let mut store = store(&loaded.0.engine, app, call, None, loaded.0.limits);
    let work = async {
        let instance = loaded
            .0
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(failed)?;
        let shape = |interface, result: wasmtime::Result<()>| {
            result.map_err(|error| PluginError::Export {
                app: app.clone(),
                interface,
                why: first_line(&format!("{error:#}")),
            })
        };
        shape(
            "keyport:provider/connection",
            loaded.0.connection.load(&mut store, &instance).map(drop),
        )?;
        if let Some(indices) = &loaded.0.lifecycle {
            shape(
                "keyport:provider/lifecycle",
                indices.load(&mut store, &instance).map(drop),
            )?;
        }
        if let Some(indices) = &loaded.0.actions {
            shape(
                "keyport:provider/actions",
                indices.load(&mut store, &instance).map(drop),
            )?;
        }
        if let Some(indices) = &loaded.0.triggers {
            shape(
                "keyport:provider/triggers",
                indices.load(&mut store, &instance).map(drop),
            )?;
        }
        if let Some(indices) = &loaded.0.exchange {
            shape(
                "keyport:provider/exchange",
                indices.load(&mut store, &instance).map(drop),
            )?;
        }
        Ok(())
    };
    let late = || PluginError::Start {
        app: app.clone(),
        why: "it takes longer than 10 seconds".to_owned(),
    };
    tokio::time::timeout(TIME, work).await.map_err(|_| late())?
}
