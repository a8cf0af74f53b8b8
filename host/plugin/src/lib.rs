//! The wasmtime engine: load, check, limit and call an app's component.

mod call;
mod error;
mod limits;

use serde_json::Value;
use std::path::PathBuf;

pub use call::{Call, Exports, LogLevel, LogLine, LogSink, Page, SecretKit};
pub use error::{CallError, Failure, PluginError};
pub use keyport_manifest::{Account, Means};
pub use limits::CallLimits;

/// Configuration of the engine.
pub struct PluginConfig {
    /// Where compiled code is kept; `None` compiles anew at each start.
    pub cache_dir: Option<PathBuf>,
    /// Calls at a time, over all apps.
    pub max_concurrent: u32,
    /// Limits of each call.
    pub limits: CallLimits,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self { cache_dir: None, max_concurrent: 64, limits: CallLimits::default() }
    }
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost;

/// One app's component. Cheap to clone.
#[derive(Clone)]
pub struct LoadedApp;

impl PluginHost {
    /// Starts the engine.
    pub fn new(_config: PluginConfig) -> Result<Self, PluginError> {
        Err(PluginError::Engine("not wired yet".to_owned()))
    }

    /// Loads a component.
    pub async fn load(&self, _app: &str, _wasm: &[u8]) -> Result<LoadedApp, PluginError> {
        Err(PluginError::Engine("not wired yet".to_owned()))
    }
}

impl LoadedApp {
    /// What it exports.
    pub fn exports(&self) -> Exports {
        Exports::default()
    }
    /// The component's digest, hex.
    pub fn sha256(&self) -> &str {
        ""
    }
    /// Runs the test call.
    pub async fn check(&self, _call: Call) -> Result<Account, CallError> {
        Err(CallError::Busy)
    }
    /// Runs an action.
    pub async fn action(&self, _call: Call, _name: &str, _input: &Value) -> Result<Value, CallError> {
        Err(CallError::Busy)
    }
    /// Polls a trigger.
    pub async fn poll(&self, _call: Call, _trigger: &str, _input: &Value, _cursor: Option<&Value>) -> Result<Page, CallError> {
        Err(CallError::Busy)
    }
    /// Code after connecting.
    pub async fn connected(&self, _call: Call) -> Result<Value, CallError> {
        Err(CallError::Busy)
    }
    /// Code before disconnecting.
    pub async fn disconnecting(&self, _call: Call) -> Result<Value, CallError> {
        Err(CallError::Busy)
    }
    /// A step of an unusual sign-in.
    pub async fn exchange(&self, _call: Call, _step: &str, _input: &Value) -> Result<Value, CallError> {
        Err(CallError::Busy)
    }
}
