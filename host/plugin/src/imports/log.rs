//! Log lines of a guest's own.

use serde_json::Value;

use crate::bindings::keyport::provider::log;
use crate::call::LogLevel;
use crate::state::State;

impl log::Host for State {
    async fn write(&mut self, level: String, text: String, data: String) -> wasmtime::Result<()> {
        let level = match level.as_str() {
            "debug" => LogLevel::Debug,
            "warn" => LogLevel::Warn,
            "error" => LogLevel::Error,
            _ => LogLevel::Info,
        };
        self.lines.write(
            level,
            &text,
            serde_json::from_str(&data).unwrap_or(Value::Null),
        );
        Ok(())
    }
}
