//! Structured logs, to standard error, so that a command's own output stays clean.
//!
//! What is logged is decided where it happens; nothing here can take a secret out again. The default filter
//! keeps other crates to warnings: theirs are the lines most likely to quote a header or a body.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

const DEFAULT: &str = "warn,keyport=info,keyport_server=info,keyport_connect=info,keyport_plugin=info,keyport_vault=info";

/// Starts logging. A filter that can't be read is told and replaced by the default.
pub fn start(settings: &LogSettings) {
    let wanted = settings.level.as_deref().unwrap_or(DEFAULT);
    let (filter, unreadable) = match EnvFilter::try_new(wanted) {
        Ok(filter) => (filter, false),
        Err(_) => (EnvFilter::new(DEFAULT), true),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = match settings.format {
        LogFormat::Json => lines.json().try_init(),
        LogFormat::Text => lines.with_target(false).try_init(),
    };
    if unreadable {
        tracing::warn!(
            filter = wanted,
            "the log filter can't be read and is ignored; write one such as `info` or `warn,keyport=debug`"
        );
    }
}
