//! What a guest may call: `http`, `context`, `secrets`, `log`, and WASI 0.2 as it is with nothing in it.

mod context;
mod http;
mod log;
mod secrets;

use serde_json::json;
use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::Complete;
use crate::bindings::keyport::provider::types;
use crate::state::State;

/// A linker with everything that a component may import.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Complete::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for State {}

/// A note of the host's own.
fn note(code: &str, say: impl Into<String>, transient: bool) -> types::Note {
    let data = if transient {
        json!({ "transient": true }).to_string()
    } else {
        "null".to_owned()
    };
    types::Note {
        code: code.to_owned(),
        say: say.into(),
        retry_after_ms: None,
        data,
    }
}
