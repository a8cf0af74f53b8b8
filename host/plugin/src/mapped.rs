//! The one place where compiled code becomes runnable, and the one place with `unsafe`.
//!
//! wasmtime trusts what it is given here as it trusts its own compiler's output. `cache` is the only caller, and it
//! passes only what carries this host's own seal: what `Component::serialize` gave this program, for this component, by this
//! engine. The bytes are copied, so that a file that is changed afterwards changes nothing.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads compiled code; `None` where it was compiled by another engine or another configuration.
#[expect(
    unsafe_code,
    reason = "wasmtime cannot check compiled code; the caller vouches for where it comes from"
)]
pub fn load(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` was produced by `Component::serialize` of this program: the caller has checked a MAC over it under a
    // key that this program alone has. The engine itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }.ok()
}
