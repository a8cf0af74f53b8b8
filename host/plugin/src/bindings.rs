//! Generated from `wit/`: the traits that the host implements and the functions that it calls.
#![expect(missing_docs, clippy::all, clippy::indexing_slicing, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "keyport:provider/complete",
    imports: { default: async | trappable },
    exports: { default: async },
});
