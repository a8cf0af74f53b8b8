//! What a guest may call: `http`, `context`, `secrets`, `log`, WASI 0.2 as it is with nothing in it, and `wasi:http` (see `wasi_http`).

mod context;
mod http;
mod log;
pub(crate) mod out;
mod secrets;

use keyport_egress::Slot;
use keyport_manifest::SecretSlot;
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
    crate::wasi_http::add_to_linker(&mut linker)?;
    Complete::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for State {}

/// Slots as egress knows them.
pub(crate) fn slots_of(declared: &[SecretSlot]) -> Vec<Slot> {
    declared
        .iter()
        .map(|slot| match slot {
            SecretSlot::Header(name) => Slot::Header(name.clone()),
            SecretSlot::Query(name) => Slot::Query(name.clone()),
            SecretSlot::Body(name) => Slot::Body(name.clone()),
            SecretSlot::Recipe(name) => Slot::Recipe(name.clone()),
        })
        .collect()
}

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
