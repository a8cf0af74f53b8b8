//! The host of all components: one engine, one linker, one cache of compiled code.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::app::{Loaded, LoadedApp, first_line};
use crate::bindings::exports::keyport::provider::{
    actions, connection, exchange, lifecycle, triggers,
};
use crate::cache::Cache;
use crate::error::PluginError;
use crate::limits::CallLimits;
use crate::state::State;
use crate::trial;

/// How components are run.
#[derive(Clone, Debug)]
pub struct PluginConfig {
    /// Where compiled code is kept between starts; made with rights for its owner alone. `None`: compile anew each time.
    pub cache_dir: Option<PathBuf>,
    /// Calls at a time, over all apps. Others wait within their own time limit, then get `Busy`.
    pub max_concurrent: u32,
    /// Limits of each call.
    pub limits: CallLimits,
}

impl Default for PluginConfig {
    /// 64 calls at a time: with 4 GiB of reserved address space each, 256 GiB of the 128 TiB there are.
    fn default() -> Self {
        Self {
            cache_dir: None,
            max_concurrent: 64,
            limits: CallLimits::default(),
        }
    }
}

/// Loads components. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    /// Compiled components by digest: all declarative apps share one.
    compiled: Mutex<HashMap<String, Component>>,
    limits: CallLimits,
    permits: Arc<Semaphore>,
}

impl PluginHost {
    /// Starts the engine.
    ///
    /// # Errors
    /// Where it does not start, or the folder for compiled code cannot be used safely.
    pub fn new(config: PluginConfig) -> Result<Self, PluginError> {
        let calls = config.max_concurrent.max(1);
        let engine = crate::engine::start(calls, &config.limits)?;
        let linker = crate::imports::linker(&engine)
            .map_err(|error| PluginError::Engine(format!("{error:#}")))?;
        let cache = config
            .cache_dir
            .map(|dir| Cache::open(dir, &engine))
            .transpose()?;
        Ok(Self(Arc::new(Inner {
            engine,
            linker,
            cache,
            compiled: Mutex::default(),
            limits: config.limits,
            permits: Arc::new(Semaphore::new(usize::try_from(calls).unwrap_or(1))),
        })))
    }

    /// Compiles a component (or finds it compiled), links it, looks at what it exports, and instantiates it once: linking
    /// alone does not check the exports' shapes.
    ///
    /// # Errors
    /// What is wrong with the component, with the app's name.
    pub async fn load(&self, app: &str, wasm: &[u8]) -> Result<LoadedApp, PluginError> {
        let sha256 = hex(&Sha256::digest(wasm));
        let component = self.compiled(app, wasm, &sha256).await?;
        let pre =
            self.0
                .linker
                .instantiate_pre(&component)
                .map_err(|error| PluginError::Import {
                    app: app.to_owned(),
                    why: first_line(&format!("{error:#}")),
                })?;
        let loaded = LoadedApp(Arc::new(Loaded {
            app: app.to_owned(),
            sha256,
            engine: self.0.engine.clone(),
            connection: connection::GuestIndices::new(&pre).map_err(|error| {
                PluginError::Export {
                    app: app.to_owned(),
                    interface: "keyport:provider/connection",
                    why: first_line(&format!("{error:#}")),
                }
            })?,
            lifecycle: optional(
                &pre,
                "keyport:provider/lifecycle@1.0.0",
                lifecycle::GuestIndices::new(&pre),
                app,
            )?,
            actions: optional(
                &pre,
                "keyport:provider/actions@1.0.0",
                actions::GuestIndices::new(&pre),
                app,
            )?,
            triggers: optional(
                &pre,
                "keyport:provider/triggers@1.0.0",
                triggers::GuestIndices::new(&pre),
                app,
            )?,
            exchange: optional(
                &pre,
                "keyport:provider/exchange@1.0.0",
                exchange::GuestIndices::new(&pre),
                app,
            )?,
            pre,
            limits: self.0.limits,
            permits: Arc::clone(&self.0.permits),
        }));
        trial::start_once(&loaded).await?;
        Ok(loaded)
    }

    async fn compiled(
        &self,
        app: &str,
        wasm: &[u8],
        sha256: &str,
    ) -> Result<Component, PluginError> {
        if let Some(known) = self
            .0
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(sha256)
        {
            return Ok(known.clone());
        }
        let host = self.clone();
        let (name, digest, wasm) = (app.to_owned(), sha256.to_owned(), wasm.to_vec());
        // Compiling takes seconds of a core for a language runtime; it must not hold up the reactor.
        let component = tokio::task::spawn_blocking(move || host.compile(&name, &wasm, &digest))
            .await
            .map_err(|_| PluginError::NotAComponent {
                app: app.to_owned(),
                why: "the compiler gave up on it".to_owned(),
            })??;
        self.0
            .compiled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sha256.to_owned(), component.clone());
        Ok(component)
    }

    fn compile(&self, app: &str, wasm: &[u8], sha256: &str) -> Result<Component, PluginError> {
        if let Some(known) = self
            .0
            .cache
            .as_ref()
            .and_then(|cache| cache.get(&self.0.engine, sha256))
        {
            return Ok(known);
        }
        // `from_binary` and not `new`: text is for tools, and neither reads compiled code.
        let component = Component::from_binary(&self.0.engine, wasm).map_err(|error| {
            PluginError::NotAComponent {
                app: app.to_owned(),
                why: first_line(&format!("{error:#}")),
            }
        })?;
        if let Some(cache) = &self.0.cache {
            cache.put(sha256, &component);
        }
        Ok(component)
    }
}

/// An optional export: absent is fine, there but of another shape is not.
fn optional<T>(
    pre: &InstancePre<State>,
    interface: &'static str,
    indices: wasmtime::Result<T>,
    app: &str,
) -> Result<Option<T>, PluginError> {
    if pre.component().get_export_index(None, interface).is_none() {
        return Ok(None);
    }
    indices.map(Some).map_err(|error| PluginError::Export {
        app: app.to_owned(),
        interface,
        why: first_line(&format!("{error:#}")),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
