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
        // What is longer than a line is not kept, so it is not read either.
        let kept = data.len() <= self.limits.log_line_bytes;
        let data = kept.then(|| serde_json::from_str(&data).ok()).flatten();
        self.lines.write(level, &text, data.unwrap_or(Value::Null));
        Ok(())
    }
}
