//! The host of all components: one engine, one linker, one cache of compiled code.
//!
//! Loads may run at the same time: what is the same component is compiled once, and everything that takes a processor's time
//! is done off the reactor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use keyport_egress::{Egress, EgressConfig};
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::app::{Loaded, LoadedApp, first_line};
use crate::bindings::exports::keyport::provider::{
    actions, connection, exchange, lifecycle, triggers,
};
use crate::cache::{Cache, CodeCache, Tidied};
use crate::error::PluginError;
use crate::limits::CallLimits;
use crate::state::State;
use crate::trial;

/// How components are run.
#[derive(Clone)]
pub struct PluginConfig {
    /// Where compiled code is kept between starts. `None`: compile anew each time.
    pub cache: Option<CodeCache>,
    /// Calls at a time, over all apps. Others wait within their own time limit, then get `Busy`.
    pub max_concurrent: u32,
    /// Limits of each call.
    pub limits: CallLimits,
}

impl Default for PluginConfig {
    /// 64 calls at a time: with 4 GiB of reserved address space each, 256 GiB of the 128 TiB there are.
    fn default() -> Self {
        Self {
            cache: None,
            max_concurrent: 64,
            limits: CallLimits::default(),
        }
    }
}

/// Loads components. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost(Arc<Inner>);

/// A component that is compiled once, by whoever of those that load it comes first.
pub(crate) type Compiled = OnceCell<Component>;

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Cache>,
    /// Components by digest, as long as an app has them loaded: all declarative apps share one.
    compiled: Mutex<HashMap<String, Weak<Compiled>>>,
    limits: CallLimits,
    /// Places for calls, over all apps.
    permits: Arc<Semaphore>,
    /// Places that one app may have of those.
    per_app: usize,
    /// Those places by the app's name, as long as a version of it is loaded: one that is loaded anew while its calls hang has
    /// the places that are left, and not as many again.
    own_permits: Mutex<HashMap<String, Weak<Semaphore>>>,
    /// For the first start of components, which reaches nothing. Made once: reading root certificates takes its time.
    nowhere: Egress,
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
            .cache
            .map(|cache| Cache::open(cache, &engine))
            .transpose()?;
        let places = usize::try_from(calls).unwrap_or(1);
        Ok(Self(Arc::new(Inner {
            engine,
            linker,
            cache,
            compiled: Mutex::default(),
            limits: config.limits,
            permits: Arc::new(Semaphore::new(places)),
            per_app: per_app(places),
            own_permits: Mutex::default(),
            nowhere: Egress::new(EgressConfig::default())
                .map_err(|error| PluginError::Engine(error.to_string()))?,
        })))
    }

    /// Compiles a component (or finds it compiled), links it, looks at what it exports, and instantiates it once: linking
    /// alone does not check the exports' shapes.
    ///
    /// # Errors
    /// What is wrong with the component, with the app's name.
    pub async fn load(&self, app: &str, wasm: &[u8]) -> Result<LoadedApp, PluginError> {
        let sha256 = hex(&Sha256::digest(wasm));
        let compiled = self.compiled(app, wasm, &sha256).await?;
        let (host, name) = (self.clone(), app.to_owned());
        let loaded = off_the_reactor(app, move || host.link(name, sha256, compiled)).await??;
        trial::start_once(&loaded, self.0.nowhere.clone()).await?;
        Ok(loaded)
    }

    /// Throws out of the folder of compiled code what nobody has needed for long, and the longest unused beyond its size.
    /// What this host has loaded stays, so this is for after the apps were loaded. Nothing to do without a folder.
    pub async fn tidy_cache(&self, now: SystemTime) -> Tidied {
        let host = self.clone();
        let tidied = tokio::task::spawn_blocking(move || match &host.0.cache {
            Some(cache) => cache.tidy(now),
            None => Ok(Tidied::default()),
        });
        match tidied.await {
            Ok(Ok(tidied)) => tidied,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the folder of compiled components could not be tidied up");
                Tidied::default()
            }
            Err(_) => Tidied::default(),
        }
    }

    fn link(
        &self,
        app: String,
        sha256: String,
        compiled: Arc<Compiled>,
    ) -> Result<LoadedApp, PluginError> {
        let not_compiled = || PluginError::NotAComponent {
            app: app.clone(),
            why: "it was not compiled".to_owned(),
        };
        let component = compiled.get().ok_or_else(not_compiled)?;
        let pre =
            self.0
                .linker
                .instantiate_pre(component)
                .map_err(|error| PluginError::Import {
                    app: app.clone(),
                    why: first_line(&format!("{error:#}")),
                })?;
        Ok(LoadedApp(Arc::new(Loaded {
            sha256,
            engine: self.0.engine.clone(),
            connection: connection::GuestIndices::new(&pre).map_err(|error| {
                PluginError::Export {
                    app: app.clone(),
                    interface: "keyport:provider/connection",
                    why: first_line(&format!("{error:#}")),
                }
            })?,
            lifecycle: optional(
                &pre,
                "keyport:provider/lifecycle@1.0.0",
                lifecycle::GuestIndices::new(&pre),
                &app,
            )?,
            actions: optional(
                &pre,
                "keyport:provider/actions@1.0.0",
                actions::GuestIndices::new(&pre),
                &app,
            )?,
            triggers: optional(
                &pre,
                "keyport:provider/triggers@1.0.0",
                triggers::GuestIndices::new(&pre),
                &app,
            )?,
            exchange: optional(
                &pre,
                "keyport:provider/exchange@1.0.0",
                exchange::GuestIndices::new(&pre),
                &app,
            )?,
            pre,
            own_permits: entry(&self.0.own_permits, &app, || Semaphore::new(self.0.per_app)),
            app,
            _compiled: compiled,
            limits: self.0.limits,
            permits: Arc::clone(&self.0.permits),
        })))
    }

    async fn compiled(
        &self,
        app: &str,
        wasm: &[u8],
        sha256: &str,
    ) -> Result<Arc<Compiled>, PluginError> {
        let shared = entry(&self.0.compiled, sha256, Compiled::new);
        let (host, digest) = (self.clone(), sha256.to_owned());
        shared
            .get_or_try_init(|| async {
                let (keeper, name) = (host.clone(), digest.clone());
                let known = off_the_reactor(app, move || {
                    let cache = keeper.0.cache.as_ref()?;
                    cache.get(&keeper.0.engine, &name)
                });
                if let Some(known) = known.await? {
                    return Ok(known);
                }
                let (name, wasm) = (app.to_owned(), wasm.to_vec());
                // Seconds of a core for a language runtime.
                off_the_reactor(app, move || host.compile(&name, &wasm, &digest)).await?
            })
            .await?;
        Ok(shared)
    }

    fn compile(&self, app: &str, wasm: &[u8], sha256: &str) -> Result<Component, PluginError> {
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

/// What several loads share by a name. What nobody holds any more makes room.
fn entry<T>(
    known: &Mutex<HashMap<String, Weak<T>>>,
    name: &str,
    new: impl FnOnce() -> T,
) -> Arc<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = known.get(name).and_then(Weak::upgrade) {
        return shared;
    }
    known.retain(|_, held| held.strong_count() > 0);
    let new = Arc::new(new());
    known.insert(name.to_owned(), Arc::downgrade(&new));
    new
}

/// Three quarters of the places: an app whose calls all hang or loop leaves a quarter to the others.
fn per_app(places: usize) -> usize {
    places.saturating_sub(places / 4).max(1)
}

/// Runs what takes a processor's time where it holds up nobody.
async fn off_the_reactor<T: Send + 'static>(
    app: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PluginError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| PluginError::NotAComponent {
            app: app.to_owned(),
            why: "the compiler gave up on it".to_owned(),
        })
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

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
