//! The one place where compiled code becomes runnable, and the one place with `unsafe`.
//!
//! wasmtime trusts what it is given here as it trusts its own compiler's output. `cache` is the only caller, and it
//! passes only what this program wrote into a folder that nobody else can write to, with a digest that matches.

use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads compiled code; `None` where it was compiled by another engine or another configuration.
#[expect(
    unsafe_code,
    reason = "wasmtime cannot check compiled code; the caller vouches for where it comes from"
)]
pub fn load(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` was produced by `Component::serialize` of this program: the folder and the file belong to this
    // process's user and are closed to others, and the digest that was written with it matches. The engine itself
    // refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }.ok()
}
